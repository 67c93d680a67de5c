//! Reading what `recorder.c` wrote.

/// One call of the recorded process.
pub struct Event<'a> {
    /// Of the file it was made on; 0 where a path says it.
    pub inode: u64,
    pub record: Record<'a>,
}

/// Paths are relative to the recorded directory.
#[derive(Debug)]
pub enum Record<'a> {
    Create {
        path: &'a str,
    },
    MakeDirectory {
        path: &'a str,
    },
    /// From now on the inode number means the file of that name.
    Open {
        path: &'a str,
    },
    Write {
        at: u64,
        bytes: &'a [u8],
    },
    Truncate {
        len: u64,
    },
    Sync,
    Rename {
        from: &'a str,
        to: &'a str,
    },
    Remove {
        path: &'a str,
    },
}

const HEAD: usize = 32;

/// All events of a record, in order.
pub fn events(record: &[u8]) -> impl Iterator<Item = Event<'_>> {
    let mut rest = record;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (event, len) = event(rest);
        rest = &rest[len..];
        Some(event)
    })
}

fn event(record: &[u8]) -> (Event<'_>, usize) {
    let long = |at: usize| u64::from_ne_bytes(record[at..at + 8].try_into().unwrap());
    let short = |at: usize| u32::from_ne_bytes(record[at..at + 4].try_into().unwrap());
    let (kind, name_len, inode, at, data_len) =
        (short(0), short(4) as usize, long(8), long(16), long(24) as usize);
    let path = std::str::from_utf8(&record[HEAD..HEAD + name_len]).unwrap();
    let bytes = &record[HEAD + name_len..HEAD + name_len + data_len];
    let record = match kind {
        1 => Record::Create { path },
        2 => Record::MakeDirectory { path },
        3 => Record::Open { path },
        4 => Record::Write { at, bytes },
        5 => Record::Truncate { len: at },
        6 => Record::Sync,
        7 => {
            let (from, to) = path.split_once('\0').unwrap();
            Record::Rename { from, to }
        }
        8 | 9 => Record::Remove { path },
        kind => panic!("a record of kind {kind}"),
    };
    (Event { inode, record }, HEAD + name_len + data_len)
}

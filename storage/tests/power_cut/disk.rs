//! A disk with a volatile cache: what was recorded of a process is played back, and at any moment the power can be cut.
//!
//! Of a file, what was written before its last sync is there afterwards. What came later is there in part: of each
//! sector some prefix of the writes to it, and of the changes of length some prefix. Of a directory, names that were made
//! or taken away since its last sync are there up to some point in time. This is weaker than any file system in use.

use crate::dice::Dice;
use crate::record::{Event, Record};
use std::collections::BTreeMap;
use std::path::Path;

/// What a disk writes whole or not at all, in bytes.
const SECTOR: usize = 512;

type Id = usize;

#[derive(Default, Clone)]
pub struct Disk {
    nodes: Vec<Node>,
    /// Which of them an inode number of the record means now.
    inodes: BTreeMap<u64, Id>,
}

#[derive(Clone)]
enum Node {
    File(FileNode),
    Directory(DirectoryNode),
}

#[derive(Clone, Default)]
struct FileNode {
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Length(usize),
}

#[derive(Clone, Default)]
struct DirectoryNode {
    durable: BTreeMap<String, Id>,
    pending: Vec<Names>,
}

/// One change of a directory, whole or not at all.
#[derive(Clone)]
enum Names {
    Made(String, Id),
    Gone(String),
    Renamed(String, String),
}

/// How much of what was not synced survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsynced {
    /// As after `kill -9`.
    Kept,
    Lost,
    /// Each sector and each name on its own.
    Torn,
}

const ROOT: Id = 0;

impl Disk {
    /// A disk that holds what is in `directory`, all of it synced.
    pub fn of(directory: &Path) -> Self {
        let mut disk = Self { nodes: vec![Node::Directory(DirectoryNode::default())], ..Self::default() };
        disk.take_in(ROOT, directory);
        disk
    }

    fn take_in(&mut self, id: Id, directory: &Path) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let is_directory = entry.file_type().unwrap().is_dir();
            let node = if is_directory {
                Node::Directory(DirectoryNode::default())
            } else {
                Node::File(FileNode { durable: std::fs::read(entry.path()).unwrap(), pending: Vec::new() })
            };
            let child = self.add(node);
            self.directory(id).durable.insert(name, child);
            if is_directory {
                self.take_in(child, &entry.path());
            }
        }
    }

    fn add(&mut self, node: Node) -> Id {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    fn directory(&mut self, id: Id) -> &mut DirectoryNode {
        match &mut self.nodes[id] {
            Node::Directory(directory) => directory,
            Node::File(_) => panic!("a file is used as a directory"),
        }
    }

    fn file(&mut self, inode: u64) -> &mut FileNode {
        match &mut self.nodes[self.inodes[&inode]] {
            Node::File(file) => file,
            Node::Directory(_) => panic!("a directory is used as a file"),
        }
    }

    /// The directory a path is in, and its last name.
    fn parent<'a>(&mut self, path: &'a str) -> (Id, &'a str) {
        match path.rsplit_once('/') {
            Some((parent, name)) => (self.lookup(parent), name),
            None => (ROOT, path),
        }
    }

    /// As the process sees it.
    fn lookup(&mut self, path: &str) -> Id {
        path.split('/').filter(|name| !name.is_empty()).fold(ROOT, |id, name| {
            *self
                .directory(id)
                .now()
                .get(name)
                .unwrap_or_else(|| panic!("{path} was used before it was there"))
        })
    }

    /// Lets one recorded event happen.
    pub fn apply(&mut self, event: &Event) {
        match event.record {
            Record::Create { path } => self.make(event.inode, path, Node::File(FileNode::default())),
            Record::MakeDirectory { path } => {
                self.make(event.inode, path, Node::Directory(DirectoryNode::default()));
            }
            Record::Open { path } => {
                let id = self.lookup(path);
                self.inodes.insert(event.inode, id);
            }
            Record::Write { at, bytes } => {
                let bytes = bytes.to_vec();
                self.file(event.inode).pending.push(Change::Write { at: at as usize, bytes });
            }
            Record::Truncate { len } => {
                self.file(event.inode).pending.push(Change::Length(len as usize));
            }
            Record::Sync => self.sync(self.inodes[&event.inode]),
            Record::Rename { from, to } => {
                let ((source, from), (target, to)) = (self.parent(from), self.parent(to));
                assert_eq!(source, target, "a rename from one directory to another");
                self.directory(source).pending.push(Names::Renamed(from.into(), to.into()));
            }
            Record::Remove { path } => {
                let (parent, name) = self.parent(path);
                self.directory(parent).pending.push(Names::Gone(name.into()));
            }
        }
    }

    fn make(&mut self, inode: u64, path: &str, node: Node) {
        let id = self.add(node);
        self.inodes.insert(inode, id);
        let (parent, name) = self.parent(path);
        self.directory(parent).pending.push(Names::Made(name.into(), id));
    }

    fn sync(&mut self, id: Id) {
        match &mut self.nodes[id] {
            Node::File(file) => {
                for change in std::mem::take(&mut file.pending) {
                    change.apply(&mut file.durable);
                }
            }
            Node::Directory(directory) => {
                directory.durable = directory.now();
                directory.pending.clear();
            }
        }
    }

    /// Cuts the power: writes what is left to `target`, an empty directory.
    pub fn cut(&self, unsynced: Unsynced, dice: &mut Dice, target: &Path) {
        self.write(ROOT, unsynced, dice, target);
    }

    fn write(&self, id: Id, unsynced: Unsynced, dice: &mut Dice, target: &Path) {
        match &self.nodes[id] {
            Node::File(file) => write_sparse(target, &file.after(unsynced, dice)),
            Node::Directory(directory) => {
                if !target.is_dir() {
                    std::fs::create_dir(target).unwrap();
                }
                for (name, child) in directory.after(unsynced, dice) {
                    self.write(child, unsynced, dice, &target.join(name));
                }
            }
        }
    }
}

/// How many of `count` changes survive.
fn survivors(count: usize, unsynced: Unsynced, dice: &mut Dice) -> usize {
    match unsynced {
        Unsynced::Kept => count,
        Unsynced::Lost => 0,
        Unsynced::Torn => dice.below(count as u64 + 1) as usize,
    }
}

impl DirectoryNode {
    fn with(&self, changes: &[Names]) -> BTreeMap<String, Id> {
        let mut names = self.durable.clone();
        for change in changes {
            match change {
                Names::Made(name, id) => _ = names.insert(name.clone(), *id),
                Names::Gone(name) => _ = names.remove(name),
                Names::Renamed(from, to) => {
                    let id = names.remove(from).expect("what is renamed is there");
                    names.insert(to.clone(), id);
                }
            }
        }
        names
    }

    fn now(&self) -> BTreeMap<String, Id> {
        self.with(&self.pending)
    }

    fn after(&self, unsynced: Unsynced, dice: &mut Dice) -> BTreeMap<String, Id> {
        self.with(&self.pending[..survivors(self.pending.len(), unsynced, dice)])
    }
}

impl FileNode {
    fn after(&self, unsynced: Unsynced, dice: &mut Dice) -> Vec<u8> {
        let mut content = self.durable.clone();
        if unsynced != Unsynced::Torn {
            let count = survivors(self.pending.len(), unsynced, dice);
            self.pending[..count].iter().for_each(|change| change.apply(&mut content));
            return content;
        }
        // The length and the sectors are written back apart from each other, each as it was at some moment.
        let lengths: Vec<usize> = self
            .pending
            .iter()
            .scan(content.len(), |len, change| {
                *len = change.len_after(*len);
                Some(*len)
            })
            .collect();
        let count = dice.below(lengths.len() as u64 + 1) as usize;
        let len = count.checked_sub(1).map_or(content.len(), |last| lengths[last]);
        let mut seen: BTreeMap<usize, usize> = BTreeMap::new();
        for sector in self.pending.iter().flat_map(Change::sectors) {
            *seen.entry(sector).or_default() += 1;
        }
        for writes in seen.values_mut() {
            *writes = dice.below(*writes as u64 + 1) as usize;
        }
        for change in &self.pending {
            change.apply_torn(&mut content, &mut seen);
        }
        content.resize(len, 0);
        content
    }
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Change::Write { at, bytes } => put(content, *at, bytes),
            Change::Length(len) => content.resize(*len, 0),
        }
    }

    fn len_after(&self, before: usize) -> usize {
        match self {
            Change::Write { at, bytes } => before.max(at + bytes.len()),
            Change::Length(len) => *len,
        }
    }

    fn sectors(&self) -> std::ops::Range<usize> {
        match self {
            Change::Write { at, bytes } => at / SECTOR..(at + bytes.len()).div_ceil(SECTOR),
            Change::Length(_) => 0..0,
        }
    }

    /// Writes those sectors that have writes left.
    fn apply_torn(&self, content: &mut Vec<u8>, left: &mut BTreeMap<usize, usize>) {
        let Change::Write { at, bytes } = self else { return };
        for sector in self.sectors() {
            let left = left.get_mut(&sector).expect("every sector was counted");
            if *left > 0 {
                *left -= 1;
                let from = (sector * SECTOR).max(*at);
                let to = ((sector + 1) * SECTOR).min(at + bytes.len());
                put(content, from, &bytes[from - at..to - at]);
            }
        }
    }
}

fn put(content: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if content.len() < at + bytes.len() {
        content.resize(at + bytes.len(), 0);
    }
    content[at..at + bytes.len()].copy_from_slice(bytes);
}

/// Leaves zeros out, of which sled's file has many.
fn write_sparse(path: &Path, content: &[u8]) {
    use std::os::unix::fs::FileExt;
    let file = std::fs::File::create(path).unwrap();
    file.set_len(content.len() as u64).unwrap();
    for (index, page) in content.chunks(64 << 10).enumerate() {
        if page.iter().any(|byte| *byte != 0) {
            file.write_all_at(page, (index * (64 << 10)) as u64).unwrap();
        }
    }
}

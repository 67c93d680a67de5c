//! The MIME structure of a message as rows.

use super::format;
use crate::http::content::{media_type, part_id};
use gadwall_storage::mime::{Content, Part, Structure};

/// One part.
pub struct TreeRow {
    /// How deep it lies, for the indentation; at most 8.
    pub depth: usize,
    /// Its number, empty for what has none.
    pub id: String,
    pub kind: String,
    pub encoding: String,
    pub charset: String,
    pub name: String,
    pub size: String,
    pub leaf: bool,
}

/// Most rows shown.
const ROWS: usize = 500;

pub fn rows(structure: &Structure) -> Vec<TreeRow> {
    let mut rows = Vec::new();
    let mut path = Vec::new();
    if matches!(structure.root.content, Content::Multipart(_)) {
        visit(&structure.root, &mut path, 0, &mut rows);
    } else {
        path.push(1);
        visit(&structure.root, &mut path, 0, &mut rows);
    }
    rows
}

/// The scanner bounds the depth of a structure, so that this ends soon.
fn visit(part: &Part, path: &mut Vec<u32>, depth: usize, rows: &mut Vec<TreeRow>) {
    if rows.len() >= ROWS {
        return;
    }
    rows.push(TreeRow {
        depth: depth.min(8),
        id: part_id(path),
        kind: media_type(part),
        encoding: part.encoding.to_ascii_lowercase(),
        charset: part
            .content_type
            .param("charset")
            .map(|c| String::from_utf8_lossy(c).into_owned())
            .unwrap_or_default(),
        name: part.file_name().unwrap_or_default(),
        size: format::bytes(part.body.end.saturating_sub(part.body.start)),
        leaf: !matches!(part.content, Content::Multipart(_)),
    });
    match &part.content {
        Content::Leaf => {}
        Content::Multipart(children) => children_of(children, path, depth, rows),
        Content::Message(embedded) => match &embedded.part.content {
            Content::Multipart(children) => children_of(children, path, depth, rows),
            _ => {
                path.push(1);
                visit(&embedded.part, path, depth + 1, rows);
                path.pop();
            }
        },
    }
}

fn children_of(children: &[Part], path: &mut Vec<u32>, depth: usize, rows: &mut Vec<TreeRow>) {
    for (i, child) in children.iter().enumerate() {
        path.push(i as u32 + 1);
        visit(child, path, depth + 1, rows);
        path.pop();
    }
}

//! Conversations (RFC 5256 §3): messages as trees of answers. Pure, and without recursion: a chain of answers may be as long
//! as a mailbox.

use super::collate::Comparator;
use super::sort::{BaseSubject, base_subject_of, sent};
use super::types::ThreadAlgorithm;
use gadwall_storage::{Message, Uid};
use std::collections::HashMap;

/// Of the messages that one refers to, so many count, the nearest ones.
const REFERENCES: usize = 500;

/// A message that is being put into its thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Threadable {
    pub uid: Uid,
    /// When it was sent, in seconds.
    sent: i64,
    subject: BaseSubject,
    id: Option<Box<[u8]>>,
    /// What it answers, the farthest first.
    references: Vec<Box<[u8]>>,
}

impl Threadable {
    pub fn new(message: &Message, algorithm: ThreadAlgorithm, comparator: Comparator) -> Self {
        let envelope = message.structure.as_ref().map(|structure| &structure.envelope);
        let (mut id, mut references) = (None, Vec::new());
        if let Some(envelope) = envelope.filter(|_| algorithm == ThreadAlgorithm::References) {
            id = message_ids(envelope.message_id.as_deref()).into_iter().next();
            references = message_ids(envelope.references.as_deref());
            if references.is_empty() {
                // RFC 5256 §3: the first one, since In-Reply-To may name others for other reasons.
                references.extend(message_ids(envelope.in_reply_to.as_deref()).into_iter().next());
            }
            references.drain(..references.len().saturating_sub(REFERENCES));
        }
        Self {
            uid: message.uid,
            sent: sent(message),
            subject: base_subject_of(message, comparator),
            id,
            references,
        }
    }

    /// How much memory it takes, in bytes: itself, and what [`thread`] makes of it.
    pub fn bytes(&self) -> usize {
        // A node, its places in the lists of each step, and its entries in the two tables.
        const NODE: usize = 320;
        // Each id may stand for a message that is not there, which is a node as well.
        let ids = self.references.iter().chain(&self.id).map(|id| id.len() + NODE).sum::<usize>();
        size_of::<Self>() + NODE + self.subject.text.len() + ids
    }
}

/// The message ids in a field, with what is quoted in them unquoted (RFC 5256 §3).
fn message_ids(field: Option<&[u8]>) -> Vec<Box<[u8]>> {
    let mut found = Vec::new();
    let mut rest = field.unwrap_or_default();
    while let Some(open) = memchr::memchr(b'<', rest) {
        let inside = &rest[open + 1..];
        let Some(close) = memchr::memchr(b'>', inside) else { break };
        let ignored = |b: &u8| b.is_ascii_whitespace() || matches!(b, b'"' | b'\\');
        let id: Box<[u8]> = inside[..close].iter().copied().filter(|b| !ignored(b)).collect();
        if id.contains(&b'@') && !id.contains(&b'<') {
            found.push(id);
            rest = &inside[close + 1..];
        } else {
            rest = inside;
        }
    }
    found
}

/// Threads, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Threads {
    nodes: Vec<Node>,
    roots: Vec<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Node {
    /// `None`: a message that others answer, and that is not there.
    uid: Option<Uid>,
    children: Vec<usize>,
}

impl Threads {
    pub fn is_empty(&self) -> bool {
        self.roots.is_empty()
    }

    /// `(1 2 (3)(4 5))((6)(7))`; `number` is what a message is called.
    pub fn write(&self, number: impl Fn(Uid) -> Option<u32>, out: &mut Vec<u8>) {
        enum Step {
            Open(usize),
            Close,
        }
        let mut steps: Vec<Step> = self.roots.iter().rev().map(|root| Step::Open(*root)).collect();
        while let Some(step) = steps.pop() {
            let Step::Open(mut at) = step else {
                out.push(b')');
                continue;
            };
            out.push(b'(');
            steps.push(Step::Close);
            loop {
                let node = &self.nodes[at];
                if let Some(number) = node.uid.and_then(&number) {
                    if !out.ends_with(b"(") {
                        out.push(b' ');
                    }
                    out.extend_from_slice(number.to_string().as_bytes());
                }
                if let [only] = node.children[..] {
                    at = only;
                    continue;
                }
                if !node.children.is_empty() && !out.ends_with(b"(") {
                    out.push(b' ');
                }
                steps.extend(node.children.iter().rev().map(|child| Step::Open(*child)));
                break;
            }
        }
    }
}

pub fn thread(messages: &[Threadable], algorithm: ThreadAlgorithm) -> Threads {
    match algorithm {
        ThreadAlgorithm::OrderedSubject => by_subject(messages),
        ThreadAlgorithm::References => by_references(messages),
    }
}

/// RFC 5256 §3 ORDEREDSUBJECT: those of one subject answer the first of them.
fn by_subject(messages: &[Threadable]) -> Threads {
    let mut order: Vec<usize> = (0..messages.len()).collect();
    let key = |at: usize| (&messages[at].subject.text, messages[at].sent, messages[at].uid);
    order.sort_unstable_by(|a, b| key(*a).cmp(&key(*b)));
    let mut nodes: Vec<Node> =
        messages.iter().map(|message| Node { uid: Some(message.uid), children: Vec::new() }).collect();
    let mut roots = Vec::new();
    for group in order.chunk_by(|a, b| messages[*a].subject.text == messages[*b].subject.text) {
        let (first, others) = (group[0], &group[1..]);
        nodes[first].children = others.to_vec();
        roots.push(first);
    }
    roots.sort_unstable_by_key(|root| (messages[*root].sent, messages[*root].uid));
    Threads { nodes, roots }
}

/// RFC 5256 §3 REFERENCES, whose steps are named.
fn by_references(messages: &[Threadable]) -> Threads {
    let mut forest = Forest::new(messages);
    forest.link();
    forest.prune();
    forest.sort_roots();
    forest.gather_subjects();
    forest.sort_all();
    forest.threads
}

/// The threads while they are made. The first nodes are the messages.
struct Forest<'a> {
    messages: &'a [Threadable],
    threads: Threads,
    /// What the node answers.
    parents: Vec<Option<usize>>,
    /// Of each node, one that is in the same tree and nearer to a representative of it.
    trees: Vec<usize>,
}

impl<'a> Forest<'a> {
    fn new(messages: &'a [Threadable]) -> Self {
        let nodes =
            messages.iter().map(|message| Node { uid: Some(message.uid), children: Vec::new() }).collect();
        let (parents, trees) = (vec![None; messages.len()], (0..messages.len()).collect());
        Self { messages, threads: Threads { nodes, roots: Vec::new() }, parents, trees }
    }

    fn add_dummy(&mut self) -> usize {
        self.threads.nodes.push(Node::default());
        self.parents.push(None);
        self.trees.push(self.trees.len());
        self.trees.len() - 1
    }

    fn tree(&mut self, mut at: usize) -> usize {
        while self.trees[at] != at {
            self.trees[at] = self.trees[self.trees[at]];
            at = self.trees[at];
        }
        at
    }

    /// Makes `child`, which has no parent, an answer to `parent`, unless that is an answer to it already.
    fn adopt(&mut self, parent: usize, child: usize) {
        let (above, below) = (self.tree(parent), self.tree(child));
        // A child that has no parent is what all of its tree descends from.
        if above != below {
            self.trees[below] = above;
            self.parents[child] = Some(parent);
        }
    }

    /// Step 1. A message's own references come before what others say of it, so they are taken first: then no link is ever
    /// broken again.
    fn link(&mut self) {
        let mut ids: HashMap<&[u8], usize> = HashMap::new();
        for (at, message) in self.messages.iter().enumerate() {
            // A second message of an id is none that can be referred to.
            if let Some(id) = &message.id {
                ids.entry(id).or_insert(at);
            }
        }
        let mut chains: Vec<Vec<usize>> = Vec::with_capacity(self.messages.len());
        for message in self.messages {
            let mut chain = Vec::with_capacity(message.references.len());
            for id in &message.references {
                let known = ids.get(&**id).copied();
                let at = known.unwrap_or_else(|| self.add_dummy());
                ids.insert(id, at);
                chain.push(at);
            }
            chains.push(chain);
        }
        for (at, chain) in chains.iter().enumerate() {
            if let Some(parent) = chain.last() {
                self.adopt(*parent, at);
            }
        }
        for (at, chain) in chains.iter().enumerate() {
            for pair in chain.windows(2) {
                let (parent, child) = (pair[0], pair[1]);
                // A message that comes later says itself what it answers.
                let decides = child < self.messages.len() && child > at;
                if self.parents[child].is_none() && !decides {
                    self.adopt(parent, child);
                }
            }
        }
    }

    /// Steps 2 and 3: dummies give their children to what is above them; at the top only where there is but one.
    fn prune(&mut self) {
        let mut below: Vec<Vec<usize>> = vec![Vec::new(); self.parents.len()];
        let mut order = Vec::with_capacity(self.parents.len());
        for (at, parent) in self.parents.iter().enumerate() {
            match parent {
                Some(parent) => below[*parent].push(at),
                None => order.push(at),
            }
        }
        let mut next = 0;
        while next < order.len() {
            order.extend_from_slice(&below[order[next]]);
            next += 1;
        }
        // The lowest first: what takes a node's place is settled before it is asked for.
        let mut instead: Vec<Vec<usize>> = vec![Vec::new(); self.parents.len()];
        for at in order.into_iter().rev() {
            let children = std::mem::take(&mut below[at])
                .into_iter()
                .fold(Vec::new(), |all, child| joined(all, std::mem::take(&mut instead[child])));
            let holds_several = self.parents[at].is_none() && children.len() > 1;
            if at < self.messages.len() || holds_several {
                self.threads.nodes[at].children = children;
                instead[at] = vec![at];
            } else {
                instead[at] = children;
            }
            if self.parents[at].is_none() {
                self.threads.roots.append(&mut instead[at]);
            }
        }
    }

    /// The message by which a node of the first level is sorted and named: itself, or its first child.
    fn speaker(&self, at: usize) -> Option<&'a Threadable> {
        let first = if at < self.messages.len() {
            Some(at)
        } else {
            self.threads.nodes[at].children.first().copied()
        };
        first.and_then(|at| self.messages.get(at))
    }

    fn is_dummy(&self, at: usize) -> bool {
        self.threads.nodes[at].uid.is_none()
    }

    fn sort(&self, siblings: &mut [usize]) {
        siblings.sort_by_cached_key(|at| self.speaker(*at).map(|message| (message.sent, message.uid)));
    }

    fn sort_children(&mut self, at: usize) {
        let mut children = std::mem::take(&mut self.threads.nodes[at].children);
        self.sort(&mut children);
        self.threads.nodes[at].children = children;
    }

    /// Step 4.
    fn sort_roots(&mut self) {
        let mut roots = std::mem::take(&mut self.threads.roots);
        for at in roots.iter().copied().filter(|at| *at >= self.messages.len()) {
            self.sort_children(at);
        }
        self.sort(&mut roots);
        self.threads.roots = roots;
    }

    /// Step 5: threads of one subject become one.
    fn gather_subjects(&mut self) {
        let roots = std::mem::take(&mut self.threads.roots);
        let mut table: HashMap<&'a str, usize> = HashMap::new();
        for &at in &roots {
            let Some(subject) = self.speaker(at).map(|m| &m.subject).filter(|s| !s.text.is_empty()) else {
                continue;
            };
            let held = table.entry(&subject.text).or_insert(at);
            let held_replies = self.speaker(*held).is_some_and(|m| m.subject.is_reply);
            if !self.is_dummy(*held) && (self.is_dummy(at) || held_replies && !subject.is_reply) {
                *held = at;
            }
        }
        let mut kept: Vec<usize> = Vec::with_capacity(roots.len());
        let mut gone: Vec<bool> = vec![false; self.threads.nodes.len()];
        for at in roots {
            kept.push(at);
            let Some(subject) = self.speaker(at).map(|m| &m.subject).filter(|s| !s.text.is_empty()) else {
                continue;
            };
            let Some(&held) = table.get(subject.text.as_str()).filter(|held| **held != at) else { continue };
            let held_replies = self.speaker(held).is_some_and(|m| m.subject.is_reply);
            kept.pop();
            if self.is_dummy(held) && self.is_dummy(at) {
                let children = std::mem::take(&mut self.threads.nodes[at].children);
                self.threads.nodes[held].children.extend(children);
            } else if self.is_dummy(held) || subject.is_reply && !held_replies {
                self.threads.nodes[held].children.push(at);
            } else {
                let both = self.add_dummy();
                self.threads.nodes[both].children = vec![held, at];
                table.insert(&subject.text, both);
                gone[held] = true;
                kept.push(both);
            }
        }
        kept.retain(|at| !gone.get(*at).is_some_and(|gone| *gone));
        self.threads.roots = kept;
    }

    /// Step 6.
    fn sort_all(&mut self) {
        for at in 0..self.threads.nodes.len() {
            if self.threads.nodes[at].children.len() > 1 {
                self.sort_children(at);
            }
        }
        let mut roots = std::mem::take(&mut self.threads.roots);
        self.sort(&mut roots);
        self.threads.roots = roots;
    }
}

/// The longer list with the other one behind it.
fn joined(mut a: Vec<usize>, mut b: Vec<usize>) -> Vec<usize> {
    if a.len() < b.len() {
        std::mem::swap(&mut a, &mut b);
    }
    a.append(&mut b);
    a
}

#[cfg(test)]
mod tests {
    use super::super::sort::base_subject;
    use super::*;
    use proptest::prelude::*;

    fn message(uid: u32, subject: &str, id: &str, references: &[&str]) -> Threadable {
        let bytes = |id: &&str| id.as_bytes().into();
        Threadable {
            uid: Uid::new(uid).unwrap(),
            sent: uid.into(),
            subject: base_subject(subject, Comparator::default()),
            id: Some(id).filter(|id| !id.is_empty()).as_ref().map(bytes),
            references: references.iter().map(bytes).collect(),
        }
    }

    fn written(messages: &[Threadable], algorithm: ThreadAlgorithm) -> String {
        let mut out = Vec::new();
        thread(messages, algorithm).write(|uid| Some(uid.get()), &mut out);
        String::from_utf8(out).unwrap()
    }

    fn references(messages: &[Threadable]) -> String {
        written(messages, ThreadAlgorithm::References)
    }

    #[test]
    fn answers_follow_what_they_answer() {
        assert_eq!(references(&[]), "");
        let chain =
            [message(1, "a", "1", &[]), message(2, "b", "2", &["1"]), message(3, "c", "3", &["1", "2"])];
        assert_eq!(references(&chain), "(1 2 3)");
        let fork = [message(1, "a", "1", &[]), message(2, "b", "2", &["1"]), message(3, "c", "3", &["1"])];
        assert_eq!(references(&fork), "(1 (2)(3))");
        let deep = [
            message(1, "a", "1", &[]),
            message(2, "b", "2", &["1"]),
            message(3, "c", "3", &["1", "2"]),
            message(4, "d", "4", &["1", "2"]),
        ];
        assert_eq!(references(&deep), "(1 2 (3)(4))");
    }

    #[test]
    fn what_is_missing_holds_its_answers_together() {
        let two = [message(1, "a", "1", &["x"]), message(2, "b", "2", &["x"])];
        assert_eq!(references(&two), "((1)(2))");
        let one = [message(1, "a", "1", &["x"])];
        assert_eq!(references(&one), "(1)");
        // Missing ones in the middle leave no trace.
        let middle = [message(1, "a", "1", &[]), message(2, "b", "2", &["1", "x", "y"])];
        assert_eq!(references(&middle), "(1 2)");
        let above = [message(1, "a", "1", &["x", "y"]), message(2, "b", "2", &["x", "z"])];
        assert_eq!(references(&above), "((1)(2))");
    }

    #[test]
    fn loops_and_doubles_do_no_harm() {
        let ring = [message(1, "a", "1", &["2"]), message(2, "b", "2", &["1"])];
        assert_eq!(references(&ring), "(2 1)");
        assert_eq!(references(&[message(1, "a", "1", &["1"])]), "(1)");
        let double = [message(1, "a", "1", &[]), message(2, "b", "1", &[]), message(3, "c", "3", &["1"])];
        assert_eq!(references(&double), "(1 3)(2)");
    }

    #[test]
    fn one_subject_is_one_thread() {
        let replies =
            [message(1, "a", "1", &[]), message(2, "Re: a", "2", &[]), message(3, "re: a", "3", &[])];
        assert_eq!(references(&replies), "(1 (2)(3))");
        let originals = [message(1, "a", "1", &[]), message(2, "a", "2", &[]), message(3, "A", "3", &[])];
        assert_eq!(references(&originals), "((1)(2)(3))");
        let late = [message(1, "Re: a", "1", &[]), message(2, "a", "2", &[])];
        assert_eq!(references(&late), "(2 1)");
        let without = [message(1, "", "1", &[]), message(2, "Re:", "2", &[])];
        assert_eq!(references(&without), "(1)(2)");
        let dummies = [
            message(1, "a", "1", &["x"]),
            message(2, "b", "2", &["x"]),
            message(3, "a", "3", &["y"]),
            message(4, "c", "4", &["y"]),
            message(5, "Re: a", "5", &[]),
        ];
        assert_eq!(references(&dummies), "((1)(2)(3)(4)(5))");
    }

    #[test]
    fn ordered_subject_makes_all_answers_to_the_first() {
        let mails = [
            message(1, "b", "", &[]),
            message(2, "a", "", &[]),
            message(3, "Re: b", "", &[]),
            message(4, "b (fwd)", "", &[]),
            message(5, "re: A", "", &[]),
        ];
        assert_eq!(written(&mails, ThreadAlgorithm::OrderedSubject), "(1 (3)(4))(2 5)");
    }

    #[test]
    fn ids_are_found_in_any_disorder() {
        let ids = |text: &str| -> Vec<String> {
            let found = message_ids(Some(text.as_bytes()));
            found.iter().map(|id| String::from_utf8_lossy(id).into_owned()).collect()
        };
        assert_eq!(ids("<a@b> (x) <c@d><\"e f\"@g>"), ["a@b", "c@d", "ef@g"]);
        assert_eq!(ids("<none> <<a@b> x@y> <c@"), ["a@b"]);
        assert_eq!(ids(""), [""; 0]);
    }

    /// Long enough for quadratic work or recursion to be noticed.
    #[test]
    fn a_long_chain_is_no_trouble() {
        let name = |n: u32| n.to_string();
        for missing in [0, 1] {
            let chain: Vec<Threadable> = (2..100_000)
                .map(|n| message(n, &name(n), &name(2 * n), &[&name(2 * n - 3), &name(2 * n - 2 - missing)]))
                .collect();
            assert!(!references(&chain).is_empty());
        }
    }

    proptest! {
        #[test]
        fn every_message_is_in_one_thread(
            mails in prop::collection::vec((0u32..6, 0u32..8, prop::collection::vec(0u32..10, 0..4)), 0..12),
        ) {
            let mails: Vec<Threadable> = (1..).zip(&mails).map(|(uid, (subject, id, refs))| {
                let subject = ["a", "Re: a", "b", "Re: b", "", "c"][*subject as usize];
                let refs: Vec<String> = refs.iter().map(u32::to_string).collect();
                let refs: Vec<&str> = refs.iter().map(String::as_str).collect();
                message(uid, subject, &id.to_string(), &refs)
            }).collect();
            for algorithm in [ThreadAlgorithm::OrderedSubject, ThreadAlgorithm::References] {
                let text = written(&mails, algorithm);
                let numbers = text.split(['(', ')', ' ']).filter(|n| !n.is_empty());
                let mut numbers: Vec<u32> = numbers.map(|n| n.parse().unwrap()).collect();
                numbers.sort_unstable();
                prop_assert_eq!(numbers, (1..=mails.len() as u32).collect::<Vec<_>>(), "{}", text);
                prop_assert!(!text.contains("()") && !text.contains("( ") && !text.contains(" )"), "{}", text);
            }
        }
    }
}

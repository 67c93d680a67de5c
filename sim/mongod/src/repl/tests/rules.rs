//! Single rules, on one core.

use crate::oplog::{Body, Entry, OpTime};
use crate::repl::event::{Input, Now, Output, Recovered, Vote};
use crate::repl::history::Record;
use crate::repl::message::{Answer, Facts, Message, Request, Standing};
use crate::repl::{Core, Id, Identity, Settings, Witness};
use gadwall_storage::SeededEntropy;
use std::sync::Arc;

const NOW: Now = Now { elapsed: std::time::Duration::ZERO, wall_ms: 0 };
const LAST: OpTime = OpTime { term: 2, index: 1 };

/// Member 0 of three, with one entry of term 2.
fn core(vote: Option<Vote>) -> Core {
    let hosts = (0..3).map(|id| format!("m{id}:27017")).collect();
    let identity = Identity {
        me: 0,
        settings: Arc::new(Settings { chaining_percent: 0, ..Settings::new("rs", hosts) }),
        entropy: Arc::new(SeededEntropy::new(1)),
        witness: Witness::default(),
    };
    let records = vec![Record::encode(&Entry { at: LAST, wall_ms: 0, body: Body::Noop })];
    let mut core = Core::new(identity, NOW, Recovered { records, vote, committed: OpTime::default() });
    core.take_outputs();
    core
}

fn facts(number: u64, term: u64, standing: Standing) -> Facts {
    Facts {
        term,
        boot: 1,
        number,
        standing,
        last: LAST,
        last_wall_ms: 0,
        synced: OpTime::default(),
        committed: OpTime::default(),
        source: None,
    }
}

/// What the core answers to a request for its vote: nothing, until its write is durable.
fn ask(core: &mut Core, from: Id, term: u64, last: OpTime) -> (Vec<bool>, Vec<u64>) {
    let body = Request::Vote { dry_run: false, term, last };
    let message = Message { facts: facts(term, term, Standing::Secondary), body };
    core.handle(NOW, Input::Request { from, call: 1, message });
    votes(core)
}

fn votes(core: &mut Core) -> (Vec<bool>, Vec<u64>) {
    let outputs = core.take_outputs();
    let vote = |output: &Output| match output {
        Output::Reply { message: Message { body: Answer::Vote { granted }, .. }, .. } => Some(*granted),
        _ => None,
    };
    let ticket = |output: &Output| match output {
        Output::Persist { ticket, .. } => Some(*ticket),
        _ => None,
    };
    (outputs.iter().filter_map(vote).collect(), outputs.iter().filter_map(ticket).collect())
}

#[test]
fn a_vote_is_given_once_in_a_term_and_survives_a_restart() {
    let mut core = core(Some(Vote { term: 3, candidate: 1 }));
    assert_eq!(core.term(), 3);
    assert_eq!(ask(&mut core, 2, 3, LAST).0, [false]);
    assert_eq!(ask(&mut core, 2, 2, LAST).0, [false]);
    // Its candidate may not have heard the answer.
    let (answers, tickets) = ask(&mut core, 1, 3, LAST);
    assert_eq!((answers, tickets.len()), (vec![], 1));
    core.handle(NOW, Input::Persisted { ticket: tickets[0] });
    assert_eq!(votes(&mut core).0, [true]);
    // Another term, another vote.
    assert_eq!(ask(&mut core, 2, 4, LAST).1.len(), 1);
}

#[test]
fn a_candidate_with_an_older_log_gets_no_vote() {
    let mut core = core(None);
    assert_eq!(ask(&mut core, 1, 3, OpTime { term: 1, index: 9 }).0, [false]);
    assert_eq!(ask(&mut core, 2, 3, LAST).1.len(), 1);
}

#[test]
fn progress_is_passed_on_to_the_source() {
    let mut core = core(None);
    let hear = |core: &mut Core, from: Id, call, number, standing, body| {
        let message = Message { facts: facts(number, 2, standing), body };
        core.handle(NOW, Input::Request { from, call, message });
    };
    // The primary has answered its heartbeat: from now on it is the source.
    core.handle(NOW, Input::Tick);
    let beat = core.take_outputs().into_iter().find_map(|output| match output {
        Output::Call { to: 1, call, .. } => Some(call),
        _ => None,
    });
    let message = Message { facts: facts(1, 2, Standing::Primary), body: Answer::Done };
    core.handle(NOW, Input::Answer { from: 1, call: beat.unwrap(), message });
    let sent = reports(&mut core);
    let [(1, call, positions)] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!(*positions, [(0, LAST)]);
    let message = Message { facts: facts(2, 2, Standing::Primary), body: Answer::Done };
    core.handle(NOW, Input::Answer { from: 1, call: *call, message });
    hear(&mut core, 2, 5, 1, Standing::Secondary, Request::Progress([(2, LAST)].into()));
    let sent = reports(&mut core);
    let [(1, _, positions)] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!(*positions, [(0, LAST), (2, LAST)]);
}

/// To whom, which call, which positions.
type Report = (Id, u64, Vec<(Id, OpTime)>);

fn reports(core: &mut Core) -> Vec<Report> {
    let report = |output| match output {
        Output::Call { to, call, message: Message { body: Request::Progress(positions), .. } } => {
            Some((to, call, positions.into_iter().collect()))
        }
        _ => None,
    };
    core.take_outputs().into_iter().filter_map(report).collect()
}

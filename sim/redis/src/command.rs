//! The commands of a server: those that the product's client, replicas and Sentinels send. All others are refused.

use crate::address::Address;
use crate::data::Entry;
use crate::info;
use crate::replication::full_copy;
use crate::resp::{Reply, Words};
use crate::script::Script;
use crate::server::{MAX_LAG, Shared};
use crate::state::{ClientId, Replica, State};
use std::time::Duration;
use tokio::time::Instant;

/// What a connection has said of itself.
pub struct Session {
    pub id: ClientId,
    authenticated: bool,
    db: i64,
    announced: Option<Address>,
}

impl Session {
    pub fn new(id: ClientId, shared: &Shared) -> Self {
        Session { id, authenticated: shared.options.password.is_none(), db: 0, announced: None }
    }
}

/// Executes a command and queues its answers, before anybody else's messages can come between.
pub fn execute(shared: &Shared, session: &mut Session, words: &Words) {
    let mut state = shared.state();
    let (now, lag) = (shared.options.clock.now(), shared.options.handle.lag());
    state.expire(now, lag);
    let (name, args) = words.split_first().expect("a command has a name, as its parser sees to");
    let name = String::from_utf8_lossy(name).to_ascii_uppercase();
    let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
    let mut call = Call { shared, session, state: &mut state, lag };
    let replies = call.answer(&name, &args);
    for reply in replies {
        state.send(session.id, None, reply.encode());
    }
}

struct Call<'a> {
    shared: &'a Shared,
    session: &'a mut Session,
    state: &'a mut State,
    lag: Duration,
}

fn error(text: &str) -> Reply {
    Reply::Error(text.into())
}

fn word_is(word: &[u8], name: &str) -> bool {
    word.eq_ignore_ascii_case(name.as_bytes())
}

impl Call<'_> {
    fn answer(&mut self, name: &str, args: &[&[u8]]) -> Vec<Reply> {
        if !self.session.authenticated && name != "AUTH" {
            return vec![error("NOAUTH Authentication required.")];
        }
        if self.state.is_subscriber(self.session.id) && name != "SUBSCRIBE" {
            let text =
                format!("ERR Can't execute '{}': only SUBSCRIBE is simulated here", name.to_lowercase());
            return vec![error(&text)];
        }
        match (name, args) {
            ("SUBSCRIBE", channels @ [_, ..]) => return self.subscribe(channels),
            ("REPLCONF", [ack, offset]) if word_is(ack, "ACK") => return self.acknowledged(offset),
            ("PSYNC", [_, _]) => return self.full_copy(),
            _ => {}
        }
        vec![match (name, args) {
            ("PING", []) => Reply::Simple("PONG".into()),
            ("AUTH", [password]) => self.auth(b"default", password),
            ("AUTH", [user, password]) => self.auth(user, password),
            ("SELECT", [db]) => self.select(db),
            ("CLIENT", [sub, _, _]) if word_is(sub, "SETINFO") => Reply::ok(),
            ("CLIENT", [kill, by, kind]) if word_is(kill, "KILL") && word_is(by, "TYPE") => self.kill(kind),
            ("ROLE", []) => info::role(self.state),
            ("INFO", []) => Reply::bulk(info::info(self.state, &self.shared.options.address)),
            ("GET", [key]) => self.get(key),
            ("SET", [key, value]) => self.set(key, value, None),
            ("SET", [key, value, px, millis]) if word_is(px, "PX") => self.set(key, value, Some(millis)),
            ("DEL", [key]) => self.delete(key),
            ("PTTL", [key]) => {
                Reply::Int(self.state.data.pttl(&self.key(key), self.shared.options.clock.now()))
            }
            ("PUBLISH", [channel, payload]) => self.publish(channel, payload),
            ("EVAL", [script, b"1", key, args @ ..]) => self.eval(script, key, args),
            ("REPLICAOF" | "SLAVEOF", [host, port]) => self.replica_of(host, port),
            ("REPLCONF", [_, host, _, port]) => self.announce(host, port),
            _ => self.refuse(name, args),
        }]
    }

    fn refuse(&self, name: &str, args: &[&[u8]]) -> Reply {
        let args: Vec<_> = args.iter().map(|arg| String::from_utf8_lossy(arg)).collect();
        self.shared.options.handle.refuse(format!("{name} {}", args.join(" ")));
        error(&format!("ERR unknown command '{name}': it is not simulated"))
    }

    fn key(&self, key: &[u8]) -> (i64, Vec<u8>) {
        (self.session.db, key.to_vec())
    }

    fn auth(&mut self, user: &[u8], password: &[u8]) -> Reply {
        match &self.shared.options.password {
            None => error("ERR AUTH <password> called without any password configured for the default user."),
            Some(right) if user == b"default" && password == right.as_bytes() => {
                self.session.authenticated = true;
                Reply::ok()
            }
            Some(_) => error("WRONGPASS invalid username-password pair or user is disabled."),
        }
    }

    fn select(&mut self, db: &[u8]) -> Reply {
        match std::str::from_utf8(db).ok().and_then(|db| db.parse().ok()) {
            // `databases 16` is what the real one has unless told otherwise.
            Some(db @ 0..16) => {
                self.session.db = db;
                Reply::ok()
            }
            Some(_) => error("ERR DB index is out of range"),
            None => error("ERR invalid DB index"),
        }
    }

    /// Why no write is taken, if so.
    fn unwritable(&self) -> Option<Reply> {
        let good = self.state.good_replicas(Instant::now(), MAX_LAG);
        if self.state.master.is_some() {
            Some(error("READONLY You can't write against a read only replica."))
        } else if good < self.shared.options.min_replicas {
            Some(error("NOREPLICAS Not enough good replicas to write."))
        } else {
            None
        }
    }

    fn get(&self, key: &[u8]) -> Reply {
        let entry = self.state.data.get(&self.key(key), self.shared.options.clock.now());
        entry.map_or(Reply::Nil, |entry| Reply::bulk(&entry.value))
    }

    fn set(&mut self, key: &[u8], value: &[u8], millis: Option<&[u8]>) -> Reply {
        if let Some(why) = self.unwritable() {
            return why;
        }
        let now = self.shared.options.clock.now();
        let expires = match millis.map(|millis| std::str::from_utf8(millis).ok()?.parse::<u32>().ok()) {
            None => None,
            Some(Some(millis @ 1..)) => Some(now.after(Duration::from_millis(millis.into()))),
            Some(_) => return error("ERR invalid expire time in 'set' command"),
        };
        let key = self.key(key);
        self.state.data.set(key.clone(), Entry { value: value.to_vec(), expires });
        self.state.propagate_key(&key, now, self.lag);
        Reply::ok()
    }

    fn delete(&mut self, key: &[u8]) -> Reply {
        if let Some(why) = self.unwritable() {
            return why;
        }
        let key = self.key(key);
        let was_there = self.state.data.delete(&key);
        if was_there {
            self.state.propagate_key(&key, self.shared.options.clock.now(), self.lag);
        }
        Reply::Int(was_there.into())
    }

    fn eval(&mut self, script: &[u8], key: &[u8], args: &[&[u8]]) -> Reply {
        let Some(script) = Script::of(script) else { return self.refuse("EVAL", &[script]) };
        if script.writes()
            && let Some(why) = self.unwritable()
        {
            return why;
        }
        let (key, now) = (self.key(key), self.shared.options.clock.now());
        let args: Words = args.iter().map(|arg| arg.to_vec()).collect();
        let reply = script.run(&mut self.state.data, &key, &args, now);
        if script.writes() {
            self.state.propagate_key(&key, now, self.lag);
        }
        reply
    }

    fn publish(&mut self, channel: &[u8], payload: &[u8]) -> Reply {
        let options = &self.shared.options;
        let heard = self.state.publish(channel, payload, &options.handle, &*options.entropy);
        if self.state.master.is_none() {
            self.state.propagate(&[b"PUBLISH", channel, payload], self.lag);
        }
        Reply::Int(heard)
    }

    fn subscribe(&mut self, channels: &[&[u8]]) -> Vec<Reply> {
        let one = |channel: &&[u8]| {
            let count = self.state.subscribe(self.session.id, channel);
            Reply::Array(vec![Reply::bulk("subscribe"), Reply::bulk(channel), Reply::Int(count)])
        };
        channels.iter().map(one).collect()
    }

    /// CLIENT KILL TYPE, which spares the one who asks.
    fn kill(&mut self, kind: &[u8]) -> Reply {
        let me = self.session.id;
        let pubsub = match kind {
            b"normal" => false,
            b"pubsub" => true,
            _ => return self.refuse("CLIENT KILL TYPE", &[kind]),
        };
        let killed = self
            .state
            .end(|id, client| id != me && client.replica.is_none() && client.channels.is_empty() != pubsub);
        Reply::Int(killed as i64)
    }

    /// Changes the role, and keeps it for the next process: Sentinel sends CONFIG REWRITE along.
    fn replica_of(&mut self, host: &[u8], port: &[u8]) -> Reply {
        let master = if word_is(host, "NO") && word_is(port, "ONE") {
            None
        } else {
            match Address::from_words(host, port) {
                Some(address) => Some(address),
                None => return error("ERR Invalid master port"),
            }
        };
        if master != self.state.master {
            self.state.master.clone_from(&master);
            self.state.backlog |= master.is_some();
            self.state.link_up = false;
            // Its replicas have to copy anew: this server's past is another's from now on.
            self.state.end(|_, client| client.replica.is_some());
            self.shared.options.config.write(master.clone());
            self.shared.master.send_replace(master);
        }
        Reply::ok()
    }

    fn announce(&mut self, host: &[u8], port: &[u8]) -> Reply {
        self.session.announced = Address::from_words(host, port);
        Reply::ok()
    }

    fn full_copy(&mut self) -> Vec<Reply> {
        let Some(address) = self.session.announced.clone() else {
            return vec![self.refuse("PSYNC without REPLCONF ip-address", &[])];
        };
        if self.state.master.is_some() && !self.state.link_up {
            return vec![error("NOMASTERLINK Can't SYNC while not connected with my master")];
        }
        self.state.backlog = true;
        let (id, offset) = (self.session.id, self.state.offset);
        let bytes = full_copy(&self.state.run_id, offset, self.state.snapshot());
        self.state.send(id, None, bytes);
        if let Some(client) = self.state.client(id) {
            client.replica = Some(Replica { address, offset, heard: Instant::now() });
        }
        Vec::new()
    }

    fn acknowledged(&mut self, offset: &[u8]) -> Vec<Reply> {
        let offset = std::str::from_utf8(offset).ok().and_then(|text| text.parse().ok());
        let client = self.state.client(self.session.id).and_then(|client| client.replica.as_mut());
        if let (Some(replica), Some(offset)) = (client, offset) {
            (replica.offset, replica.heard) = (offset, Instant::now());
        }
        Vec::new()
    }
}

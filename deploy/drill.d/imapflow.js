// ImapFlow: one connection that idles, and one that reads.
'use strict';
const crypto = require('node:crypto');
const { ImapFlow } = require('imapflow');
const { Retry, auth, host, main, now, sleep, stopping, tell } = require('./common');

const PACE = 300;
const LOOKS_PER_CONNECTION = 20;
const FETCH_AT_ONCE = 50;

const open = async more => {
    const client = new ImapFlow({ host, port: Number(process.env.DRILL_IMAP), secure: false, auth, logger: false, ...more });
    // It also comes as the rejection of what is under way, or as the end of the connection.
    client.on('error', () => {});
    await client.connect();
    const box = await client.mailboxOpen('INBOX');
    tell('selected', { uidvalidity: String(box.uidValidity) });
    return client;
};

/** An answer of NO that is not temporary (RFC 5530 §3), as when the password were wrong, is not to be retried. */
const mayRetry = err => !err.responseStatus || err.serverResponseCode === 'UNAVAILABLE';

/** Runs `attempt` until it succeeds. */
const untilDone = async attempt => {
    const retry = new Retry();
    const began = now();
    for (;;) {
        try {
            const value = await attempt();
            tell('succeeded', { began, at: now() });
            return value;
        } catch (err) {
            if (!mayRetry(err)) throw err;
            tell('trouble', { note: `${err.code || err.name} ${err.message}`.slice(0, 120) });
            await retry.wait(err);
        }
    }
};

const inspect = source => {
    const split = source.indexOf('\r\n\r\n');
    const head = source.subarray(0, split).toString();
    const field = name => new RegExp(`^${name}:\\s*(\\S+)`, 'im').exec(head)?.[1] ?? null;
    const digest = crypto.createHash('sha256').update(source.subarray(split + 4)).digest('hex');
    return { key: field('X-Drill-Key'), intact: digest === field('X-Drill-Digest') };
};

const reader = async () => {
    let client = null;
    const known = new Set();
    const look = async () => {
        try {
            client ??= await open({ disableAutoIdle: true });
            const began = now();
            await client.noop();
            const uids = (await client.search({ all: true }, { uid: true })) || [];
            // ImapFlow answers a search that failed with `false`; its connection tells why.
            if (!client.usable) throw new Error('the connection is gone');
            tell('saw', { uids, began, at: now() });
            const fresh = uids.filter(uid => !known.has(uid)).slice(0, FETCH_AT_ONCE);
            if (!fresh.length) return;
            for await (const message of client.fetch(fresh.join(','), { source: true }, { uid: true })) {
                tell('checked', { uid: message.uid, ...inspect(message.source) });
                known.add(message.uid);
            }
        } catch (err) {
            client?.close();
            client = null;
            throw err;
        }
    };
    for (let looks = 1; !stopping(); looks++) {
        await untilDone(look);
        if (looks % LOOKS_PER_CONNECTION === 0) {
            await client.logout().catch(() => {});
            client = null;
        }
        await sleep(PACE);
    }
    client?.close();
};

const idler = async () => {
    while (!stopping()) {
        const client = await untilDone(() => open({ disableAutoIdle: true }));
        const closed = new Promise(resolve => client.on('close', resolve));
        tell('idles', { at: now(), count: client.mailbox.exists });
        client.on('exists', ({ count }) => tell('exists', { count, at: now() }));
        const idling = client.idle().catch(() => {});
        const asked = (async () => {
            while (!stopping()) await sleep(100);
        })();
        await Promise.race([closed, idling.then(() => closed), asked]);
        tell('over', { at: now() });
        client.close();
    }
};

main(() => Promise.all([reader(), idler()]));

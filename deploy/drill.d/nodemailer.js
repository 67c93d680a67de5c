// Nodemailer: one transport that keeps its connections, one that connects for every mail.
'use strict';
const crypto = require('node:crypto');
const nodemailer = require('nodemailer');
const { Retry, auth, host, main, name, now, sleep, stopping, tell } = require('./common');

const PACE = 50;
// As long as the drill's other clients wait for an answer.
const PATIENCE = 30_000;

const mail = key => {
    const long = crypto.createHash('sha256').update(`${process.env.DRILL_SEED}/${key}`).digest();
    // Mostly short; a few of some hundred KB.
    const lines = long[0] < 8 ? 4000 + long[1] * 16 : 4 + (long[1] % 40);
    // Lines that Nodemailer has no reason to encode, so that the body goes out as it is here: shorter than 76.
    const text = Array.from({ length: lines }, (_, i) => `${key} ${i} ${long.toString('hex').slice(0, 32)}\r\n`).join('');
    const digest = crypto.createHash('sha256').update(text).digest('hex');
    return {
        from: 'ann@example.org',
        to: 'bob@example.org',
        subject: key,
        headers: { 'X-Drill-Key': key, 'X-Drill-Digest': digest },
        text
    };
};

/** What became of an attempt that failed, or the error again if no retry is allowed. */
const outcome = err => {
    const code = err.responseCode;
    // RFC 5321 §4.2.1: 4yz invites another try, 5yz does not.
    if (code >= 500) throw err;
    if (code) return err.command === 'DATA' ? 'refused' : 'unsent';
    // Nodemailer does not say how far it had come, except that there was nobody.
    return err.code === 'ECONNREFUSED' ? 'unsent' : 'unknown';
};

const deliver = async (transport, key) => {
    const retry = new Retry();
    const content = mail(key);
    for (;;) {
        tell('attempt', { key, at: now() });
        try {
            await transport.sendMail(content);
            return tell('outcome', { key, outcome: 'acknowledged', at: now() });
        } catch (err) {
            tell('outcome', { key, outcome: outcome(err), at: now(), note: `${err.code} ${err.message}`.slice(0, 120) });
            await retry.wait(err);
        }
    }
};

const work = async (label, options) => {
    const transport = nodemailer.createTransport({
        host,
        port: Number(process.env.DRILL_SMTP),
        secure: false,
        auth,
        connectionTimeout: PATIENCE,
        greetingTimeout: PATIENCE,
        socketTimeout: PATIENCE,
        ...options
    });
    for (let number = 1; !stopping(); number++) {
        await deliver(transport, `${name}-${label}-${number}`);
        await sleep(PACE);
    }
    transport.close();
};

main(() => Promise.all([work('single', {}), work('pooled', { pool: true, maxConnections: 1, maxMessages: 8 })]));

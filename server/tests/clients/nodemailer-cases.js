// What Nodemailer's users do beyond its example.
'use strict';
const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const nodemailer = require('nodemailer');
const { account, api, bytes, main, web } = require('./support');

const transport = (who, more = {}) =>
    nodemailer.createTransport({ ...who.smtp, auth: { user: who.user, pass: who.pass }, ...more });

/** The addresses on a page that lead below `path`. */
const links = (html, path) =>
    [...html.matchAll(/(?:href|src)="([^"]+)"/g)].map(m => m[1].replaceAll('&amp;', '&')).filter(l => l.startsWith(path));

const rich = {
    from: 'Jürgen <from@example.org>',
    to: ['to@example.org', 'Group Theory <two@example.org>'],
    cc: 'cc@example.org',
    bcc: 'hidden@example.org',
    subject: 'Größe 🦆 ' + 'long '.repeat(40),
    text: 'Plain text\n.\n.dots at the start\nund Umlaute: äöü\n',
    html: '<p>Rich <img src="cid:logo@example.org"> text</p>',
    icalEvent: {
        method: 'REQUEST',
        content:
            'BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//EN\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nUID:1\r\n' +
            'DTSTAMP:20261124T100000Z\r\nDTSTART:20261124T110000Z\r\nSUMMARY:Tee\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n'
    },
    attachments: [
        { filename: 'logo.png', content: Buffer.from('89504e470d0a1a0a', 'hex'), cid: 'logo@example.org' },
        { filename: 'größe & <so>.bin', content: crypto.randomBytes(300_000) },
        { filename: 'empty.txt', content: '' }
    ]
};

main({
    /** The body says who asks; what it says is of no consequence, and the answer comes from where it was asked for. */
    async requestor() {
        const own = await nodemailer.createTestAccount();
        assert.deepEqual(Object.keys(own).sort(), ['imap', 'mxEnabled', 'pass', 'pop3', 'smtp', 'user', 'web']);
        assert.equal(own.web, web);
        assert.equal(own.pass.length, 18);
        const users = new Set([own.user]);
        const json = { 'Content-Type': 'application/json' };
        const requests = [
            { headers: json, body: '{"requestor":"nodemailer","version":"10.0.0"}' },
            { headers: json, body: '{"requestor":"somebody else","version":"1","extra":[1]}' },
            { headers: json, body: '{}' },
            { headers: json, body: '' },
            { headers: json, body: 'not JSON' },
            { headers: { 'Content-Type': 'application/x-www-form-urlencoded' }, body: 'requestor=form' },
            {}
        ];
        for (const request of requests) {
            const answer = await fetch(`${web}/user`, { method: 'POST', redirect: 'manual', ...request });
            const what = JSON.stringify(request);
            // A redirect would come back as a GET without a body.
            assert.equal(answer.status, 200, what);
            const made = await answer.json();
            assert.equal(made.status, 'success', what);
            assert.equal(made.error, undefined, what);
            assert.ok(made.user.includes('@') && made.smtp.port && !made.smtp.secure, what);
            await transport(made).verify();
            users.add(made.user);
        }
        assert.equal(users.size, requests.length + 1, 'each is an account of its own');
    },

    /** For a server that runs with `--api-key sesame`. */
    async api_key() {
        process.env.ETHEREAL_CACHE = 'no';
        for (const key of ['', 'wrong', 'sesam', 'sesamex']) {
            process.env.ETHEREAL_API_KEY = key;
            await assert.rejects(nodemailer.createTestAccount(), /401/, `key ${key}`);
        }
        process.env.ETHEREAL_API_KEY = 'sesame';
        const made = await nodemailer.createTestAccount();
        await transport(made).verify();
    },

    /** Part for part as it was composed, and byte for byte as it was sent. */
    async rich_mail() {
        const who = await account();
        const sent = await transport(who).sendMail(rich);
        assert.deepEqual(sent.rejected, []);
        const latest = '/mailboxes/INBOX/messages/latest';
        const seen = await (await api(who, latest)).json();
        assert.equal(seen.subject, rich.subject);
        assert.deepEqual(seen.from, { name: 'Jürgen', address: 'from@example.org' });
        assert.deepEqual(seen.to.map(a => a.address), ['to@example.org', 'two@example.org']);
        assert.deepEqual(seen.bcc, [], 'Nodemailer leaves Bcc out');
        assert.equal(seen.text.replaceAll('\r\n', '\n'), rich.text);
        assert.deepEqual(seen.envelope.rcptTo.map(r => r.address).sort(), [
            'cc@example.org', 'hidden@example.org', 'to@example.org', 'two@example.org'
        ]);
        for (const { filename, content } of rich.attachments) {
            const part = seen.attachments.find(a => a.filename === filename);
            assert.ok(part, `${filename} in ${JSON.stringify(seen.attachments)}`);
            assert.ok(Math.abs(part.size - content.length) <= 2, `${filename}: reckoned as ${part.size} bytes`);
            const got = Buffer.from(await (await api(who, `${latest.replace('latest', seen.id)}/attachments/${part.id}`)).arrayBuffer());
            assert.ok(got.equals(Buffer.from(content)), `${filename}: ${got.length} bytes`);
        }
        const event = seen.attachments.find(a => /calendar|ics/.test(a.contentType));
        const ics = await (await api(who, `${latest.replace('latest', seen.id)}/attachments/${event.id}`)).text();
        assert.equal(ics, rich.icalEvent.content);

        const composed = await nodemailer.createTransport({ streamTransport: true, buffer: true, newline: 'windows' }).sendMail(rich);
        const raw = { raw: composed.message, envelope: composed.envelope };
        const url = nodemailer.getTestMessageUrl(await transport(who).sendMail(raw));
        const kept = await bytes(`${url}/message.eml`);
        const added = kept.indexOf('\r\n') + 2;
        assert.match(kept.subarray(0, added).toString(), /^Return-Path: <from@example\.org>\r\n$/);
        assert.ok(kept.subarray(added).equals(composed.message), 'every byte as it was sent');
    },

    /** Many at once over few connections. */
    async pool() {
        const who = await account();
        const pooled = transport(who, { pool: true, maxConnections: 5, maxMessages: 20 });
        const send = i => pooled.sendMail({ from: 'a@example.org', to: `b${i}@example.org`, subject: `number ${i}.`, text: `${i}` });
        const sent = await Promise.all(Array.from({ length: 200 }, (_, i) => send(i)));
        pooled.close();
        assert.equal(new Set(sent.map(nodemailer.getTestMessageUrl)).size, 200);
        const [subjects, uids] = [new Set(), []];
        let next = '';
        do {
            const page = await (await api(who, `/mailboxes/INBOX/messages?limit=100${next}`)).json();
            assert.equal(page.total, 200);
            page.results.forEach(m => (subjects.add(m.subject), uids.push(m.id)));
            next = page.nextCursor ? `&next=${page.nextCursor}` : '';
        } while (next);
        assert.deepEqual(uids.sort((a, b) => a - b), Array.from({ length: 200 }, (_, i) => i + 1));
        for (let i = 0; i < 200; i++) assert.ok(subjects.has(`number ${i}.`), `number ${i}`);
        // Each URL shows the message it was given for.
        for (const i of [0, 99, 199]) {
            const page = (await bytes(nodemailer.getTestMessageUrl(sent[i]))).toString();
            assert.ok(page.includes(`number ${i}.`), `URL of number ${i}`);
        }
    },

    async wrong_password() {
        const who = await account();
        const mail = { from: 'a@example.org', to: 'b@example.org', text: 'x' };
        for (const method of [undefined, 'PLAIN', 'LOGIN']) {
            const auth = { user: who.user, pass: `${who.pass}x`, method };
            const refused = await transport(who, { auth }).sendMail(mail).then(() => null, e => e);
            assert.equal(refused?.code, 'EAUTH', `${method}: ${refused}`);
            assert.equal(refused.responseCode, 535);
        }
        const nobody = { user: `nobody-${who.user}`, pass: who.pass };
        assert.equal((await transport(who, { auth: nobody }).verify().then(() => null, e => e))?.code, 'EAUTH');
        const none = await transport(who, { auth: undefined }).sendMail(mail).then(() => null, e => e);
        assert.equal(none?.responseCode, 530, `${none}`);
        assert.equal((await (await api(who, '/mailboxes/INBOX/messages')).json()).total, 0);
    },

    /** For a server that runs with `--message-limit 100KB`. */
    async too_large() {
        const who = await account();
        const mail = size => ({
            envelope: { from: 'a@example.org', to: ['b@example.org'] },
            raw: 'Subject: big\r\n\r\n' + 'x'.repeat(70).concat('\r\n').repeat(size / 72)
        });
        await transport(who).sendMail(mail(80_000));
        // The size is declared, so that Nodemailer need not send it.
        const declared = mail(150_000);
        declared.envelope.size = declared.raw.length;
        const early = await transport(who).sendMail(declared).then(() => null, e => e);
        assert.equal(early?.code, 'EMESSAGE', `${early}`);
        assert.match(early.message, /larger than allowed 1\d\d\d\d\d$/);
        // It is not declared, and refused when it has come; the session goes on.
        const pooled = transport(who, { pool: true, maxConnections: 1 });
        const late = await pooled.sendMail(mail(150_000)).then(() => null, e => e);
        assert.equal(late?.responseCode, 552, `${late}`);
        await pooled.sendMail(mail(80_000));
        pooled.close();
        assert.equal((await (await api(who, '/mailboxes/INBOX/messages')).json()).total, 2);
    },

    /** Every link of the page that getTestMessageUrl names works for whoever has it, and no other does. */
    async test_message_url() {
        const made = await nodemailer.createTestAccount();
        const url = nodemailer.getTestMessageUrl(await transport(made).sendMail(rich));
        const base = url.slice(web.length);
        assert.match(base, /^\/message\/[A-Za-z0-9.-]{20,}$/);
        const page = (await bytes(url)).toString();
        assert.ok(page.includes('Größe 🦆') && page.includes('two@example.org'));
        const source = (await bytes(`${url}/source`)).toString();
        const eml = await bytes(`${url}/message.eml`);
        assert.ok(eml.includes('Return-Path: <from@example.org>\r\n') && eml.includes('filename=logo.png'));
        assert.ok(source.startsWith('Return-Path: <from@example.org>'));
        for (const link of links(page, base)) await bytes(web + link);
        assert.ok(links(page, base).some(l => l.endsWith('/message.eml')), 'a link to the file');
        const files = links((await bytes(`${url}?tab=attachments`)).toString(), `${base}/attachment/`);
        const got = await Promise.all(files.map(l => bytes(web + l)));
        for (const { filename, content } of rich.attachments) {
            assert.ok(got.some(g => g.equals(Buffer.from(content))), `${filename} behind one of ${files}`);
        }
        const raw = await fetch(web + files[0]);
        assert.match(raw.headers.get('content-disposition'), /^attachment/);
        assert.equal(raw.headers.get('x-content-type-options'), 'nosniff');
    },

    async unknown_msgid() {
        const made = await nodemailer.createTestAccount();
        const url = nodemailer.getTestMessageUrl(await transport(made).sendMail(rich));
        const msgid = url.slice(`${web}/message/`.length);
        assert.equal((await fetch(url)).status, 200);
        const other = c => (c === 'A' ? 'B' : 'A');
        const tampered = [...msgid].map((c, i) => msgid.slice(0, i) + other(c) + msgid.slice(i + 1));
        const unknown = [msgid.slice(0, -1), `${msgid}A`, `${msgid}.`, msgid.toUpperCase(), 'x', '%2e%2e%2f', '%00', '%20'];
        for (const bad of [...tampered, ...unknown]) {
            for (const below of ['', '/source', '/message.eml', '/html', '/attachment/2']) {
                const answer = await fetch(`${web}/message/${bad}${below}`, { redirect: 'manual' });
                assert.equal(answer.status, 404, `${bad}${below} of ${msgid}`);
                assert.ok(!(await answer.text()).includes('Rich'), bad);
            }
        }
    }
});

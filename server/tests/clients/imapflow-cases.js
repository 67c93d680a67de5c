// ImapFlow, command by command.
'use strict';
const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { ImapFlow } = require('imapflow');
const { account, main, next } = require('./support');

/** Connections of a case; they end with it. */
const open = async (who, more = {}) => {
    const client = new ImapFlow({
        host: who.imap.host,
        port: who.imap.port,
        secure: who.imap.secure,
        auth: { user: who.user, pass: who.pass },
        logger: false,
        ...more
    });
    client.on('error', err => {
        console.error(err);
        process.exit(1);
    });
    await client.connect();
    return client;
};

const mail = (subject, body = 'Hello\r\n') =>
    `From: Ann <ann@example.org>\r\nTo: bob@example.org\r\nSubject: ${subject}\r\nMessage-ID: <${subject}@example.org>\r\n` +
    `Date: Tue, 24 Nov 2026 10:00:00 +0000\r\n\r\n${body}`;

const file = crypto.randomBytes(200_000);
const mixed = [
    'From: =?utf-8?q?J=C3=BCrgen?= <from@example.org>',
    'To: to@example.org, "Two, Mrs" <two@example.org>',
    'Cc: cc@example.org',
    'Subject: =?utf-8?b?R3LDvMOfZQ==?= from here',
    'Message-ID: <mixed@example.org>',
    'In-Reply-To: <before@example.org>',
    'Date: Tue, 24 Nov 2026 10:00:00 +0100',
    'MIME-Version: 1.0',
    'Content-Type: multipart/mixed; boundary=outer',
    '',
    'preamble',
    '--outer',
    'Content-Type: multipart/alternative; boundary=inner',
    '',
    '--inner',
    'Content-Type: text/plain; charset=iso-8859-1',
    'Content-Transfer-Encoding: quoted-printable',
    '',
    'Gr=FC=DFe',
    '--inner',
    'Content-Type: text/html; charset=utf-8',
    '',
    '<p>Grüße</p>',
    '--inner--',
    '--outer',
    'Content-Type: application/octet-stream; name="file.bin"',
    'Content-Disposition: attachment; filename="file.bin"',
    'Content-Transfer-Encoding: base64',
    '',
    file.toString('base64').replace(/.{76}/g, '$&\r\n'),
    '--outer--',
    ''
].join('\r\n');

/** Flags in order, without \\Recent, which says only who looked first (RFC 3501 §2.3.2). */
const plain = flags => [...flags].filter(f => f !== '\\Recent').sort();

const uids = client => client.search({ all: true }, { uid: true });

/** A client with the INBOX selected, which holds messages with these subjects. */
const inbox = async (...subjects) => {
    const who = await account();
    const client = await open(who);
    for (const subject of subjects) await client.append('INBOX', mail(subject));
    const lock = await client.getMailboxLock('INBOX');
    return { who, client, lock };
};

/** Two connections to one INBOX, the first of which idles. */
const idling = async (...subjects) => {
    const { who, client: actor } = await inbox(...subjects);
    const watcher = await open(who, { autoIdleDelay: 1 });
    await watcher.mailboxOpen('INBOX');
    const over = watcher.idle();
    over.catch(() => {});
    return { actor, watcher };
};

main({
    async folders() {
        const client = await open(await account());
        const names = async () => (await client.list()).map(m => m.path);
        const uses = Object.fromEntries((await client.list()).map(m => [m.specialUse, m.path]));
        assert.equal(uses['\\Inbox'], 'INBOX');
        for (const use of ['\\Drafts', '\\Sent', '\\Trash', '\\Junk']) assert.ok(uses[use], `${use} in ${JSON.stringify(uses)}`);

        assert.equal((await client.mailboxCreate(['Projekte', 'Größe & mehr'])).created, true);
        assert.equal((await client.mailboxCreate(['Projekte', 'Größe & mehr'])).created, false, 'it is there already');
        const path = 'Projekte/Größe & mehr';
        assert.ok((await names()).includes(path));
        await client.append(path, mail('kept'));
        const before = await client.status(path, { uidValidity: true, uidNext: true, messages: true });
        assert.deepEqual([before.messages, before.uidNext], [1, 2]);
        await client.mailboxRename('Projekte', 'Done');
        assert.ok(!(await names()).some(n => n.startsWith('Projekte')), 'children go with it');
        const after = await client.status('Done/Größe & mehr', { uidValidity: true, messages: true });
        assert.deepEqual([after.messages, after.uidValidity], [1, before.uidValidity]);

        await client.mailboxUnsubscribe('Done/Größe & mehr');
        const subscribed = async () => (await client.list()).find(m => m.path === 'Done/Größe & mehr').subscribed === true;
        assert.equal(await subscribed(), false);
        await client.mailboxSubscribe('Done/Größe & mehr');
        assert.equal(await subscribed(), true);
        await client.mailboxDelete('Done/Größe & mehr');
        assert.ok(!(await names()).includes('Done/Größe & mehr'));
        await assert.rejects(client.mailboxDelete('No such'), e => e.responseStatus === 'NO');
        assert.ok(client.usable, 'a refusal ends nothing');
        await client.mailboxCreate(['Done', 'Größe & mehr']);
        const anew = await client.status('Done/Größe & mehr', { uidValidity: true, messages: true });
        assert.equal(anew.messages, 0);
        assert.ok(anew.uidValidity > before.uidValidity, 'UIDVALIDITY does not repeat');
        await client.logout();
    },

    async append_and_fetch() {
        const who = await account();
        const client = await open(who);
        const idate = new Date('2020-02-29T12:34:56Z');
        const done = await client.append('INBOX', mixed, ['\\Seen', '$Label'], idate);
        assert.equal(done.uid, 1);
        const lock = await client.getMailboxLock('INBOX');
        assert.equal(client.mailbox.exists, 1);
        assert.equal(client.mailbox.uidValidity, done.uidValidity);
        const got = await client.fetchOne('1', {
            uid: true, flags: true, internalDate: true, size: true, envelope: true, bodyStructure: true,
            source: true, headers: ['subject', 'x-none'], bodyParts: ['1.1', '1.2', 'TEXT', '1.1.MIME']
        }, { uid: true });
        assert.ok(got.source.equals(Buffer.from(mixed)), 'every byte comes back');
        assert.equal(got.size, Buffer.byteLength(mixed));
        assert.deepEqual(plain(got.flags), ['$Label', '\\Seen']);
        assert.equal(got.internalDate.toISOString(), idate.toISOString());
        const e = got.envelope;
        assert.equal(e.subject, 'Grüße from here');
        assert.deepEqual(e.from, [{ name: 'Jürgen', address: 'from@example.org' }]);
        assert.deepEqual(e.to.map(a => [a.name, a.address]), [['', 'to@example.org'], ['Two, Mrs', 'two@example.org']]);
        assert.deepEqual([e.messageId, e.inReplyTo], ['<mixed@example.org>', '<before@example.org>']);
        assert.equal(e.date.toISOString(), '2026-11-24T09:00:00.000Z');
        const s = got.bodyStructure;
        assert.equal(s.type, 'multipart/mixed');
        assert.deepEqual(s.childNodes.map(n => [n.part, n.type]), [['1', 'multipart/alternative'], ['2', 'application/octet-stream']]);
        assert.deepEqual(s.childNodes[0].childNodes.map(n => [n.part, n.type, n.encoding]), [
            ['1.1', 'text/plain', 'quoted-printable'], ['1.2', 'text/html', '7bit']
        ]);
        assert.deepEqual([s.childNodes[1].disposition, s.childNodes[1].dispositionParameters.filename], ['attachment', 'file.bin']);
        assert.equal(got.bodyParts.get('1.1').toString(), 'Gr=FC=DFe');
        assert.equal(got.bodyParts.get('1.2').toString(), '<p>Grüße</p>');
        assert.ok(got.bodyParts.get('text').equals(Buffer.from(mixed.slice(mixed.indexOf('\r\n\r\n') + 4))));
        assert.match(got.bodyParts.get('1.1.mime').toString(), /iso-8859-1/);
        assert.equal(got.headers.toString().trim(), 'Subject: =?utf-8?b?R3LDvMOfZQ==?= from here');
        const piece = await client.fetchOne('1', { source: { start: 100, maxLength: 50 } });
        assert.ok(piece.source.equals(Buffer.from(mixed).subarray(100, 150)));
        lock.release();
        await client.logout();
    },

    async download() {
        const client = await open(await account());
        await client.append('INBOX', mixed);
        await client.mailboxOpen('INBOX');
        const read = async stream => {
            const chunks = [];
            for await (const chunk of stream) chunks.push(chunk);
            return Buffer.concat(chunks);
        };
        const part = await client.download('1', '2', { uid: true, chunkSize: 10_000 });
        assert.equal(part.meta.filename, 'file.bin');
        assert.ok((await read(part.content)).equals(file), 'the file as it was attached');
        const text = await client.download('1', '1.1');
        assert.equal((await read(text.content)).toString(), 'Grüße', 'decoded from ISO 8859-1');
        const whole = await client.download('1');
        assert.ok((await read(whole.content)).equals(Buffer.from(mixed)));
        const many = await client.downloadMany('1', ['1.2', '2']);
        assert.ok(many['2'].content.equals(file));
        await client.logout();
    },

    async search() {
        const { client } = await inbox('one', 'two', 'three');
        await client.append('INBOX', mixed, ['\\Seen', '\\Flagged']);
        await client.noop();
        const find = query => client.search(query, { uid: true });
        for (const [query, expected] of [
            [{ all: true }, [1, 2, 3, 4]],
            [{ seen: false }, [1, 2, 3]],
            [{ flagged: true }, [4]],
            [{ subject: 'two' }, [2]],
            [{ subject: 'grüße' }, [4]],
            [{ body: 'Grüße' }, [4]],
            [{ from: 'ann@' }, [1, 2, 3]],
            [{ header: { 'Message-ID': '<three@example.org>' } }, [3]],
            [{ or: [{ subject: 'one' }, { subject: 'three' }] }, [1, 3]],
            [{ not: { subject: 'one' }, seen: false }, [2, 3]],
            [{ larger: 10_000 }, [4]],
            [{ uid: '2:3' }, [2, 3]],
            [{ sentSince: new Date('2026-11-24') }, [1, 2, 3, 4]],
            [{ sentBefore: new Date('2026-11-24') }, []],
            [{ keyword: '$Never' }, []]
        ]) {
            assert.deepEqual(await find(query), expected, JSON.stringify(query));
        }
        await client.logout();
    },

    async compress() {
        // It asks for compression by itself where that is offered.
        const who = await account();
        const client = await open(who);
        assert.ok(client._deflate, 'the connection is compressed');
        await client.append('INBOX', mixed);
        await client.mailboxOpen('INBOX');
        const { source } = await client.fetchOne('1', { source: true });
        assert.equal(source.toString('latin1'), Buffer.from(mixed).toString('latin1'));
        await client.logout();
        const plain = await open(who, { disableCompression: true });
        await plain.mailboxOpen('INBOX');
        assert.equal((await plain.fetchOne('1', { source: true })).source.length, source.length);
        await plain.logout();
    },

    async flags() {
        const { client } = await inbox('one', 'two', 'three');
        const flags = async uid => plain((await client.fetchOne(`${uid}`, { flags: true }, { uid: true })).flags);
        assert.equal(await client.messageFlagsAdd('1:2', ['\\Seen', '$Work'], { uid: true }), true);
        assert.deepEqual([await flags(1), await flags(2), await flags(3)], [['$Work', '\\Seen'], ['$Work', '\\Seen'], []]);
        await client.messageFlagsRemove('1', ['$Work'], { uid: true });
        assert.deepEqual(await flags(1), ['\\Seen']);
        await client.messageFlagsSet('1', ['\\Flagged'], { uid: true });
        assert.deepEqual(await flags(1), ['\\Flagged']);
        // RFC 7162 §3.1.3: decided against what the message is now.
        const { modseq } = await client.fetchOne('3', { flags: true, modseq: true }, { uid: true });
        await client.messageFlagsAdd('3', ['\\Answered'], { uid: true });
        await client.messageFlagsAdd('3', ['\\Draft'], { uid: true, unchangedSince: modseq });
        assert.deepEqual(await flags(3), ['\\Answered']);
        const changed = [];
        for await (const m of client.fetch('1:*', { uid: true, flags: true }, { changedSince: modseq })) changed.push(m.uid);
        assert.ok(changed.includes(3) && changed.length === 3, `${changed}`);
        const unseen = await client.status('INBOX', { unseen: true, messages: true });
        assert.deepEqual([unseen.messages, unseen.unseen], [3, 2]);
        await client.logout();
    },

    async copy_move_delete() {
        const { client } = await inbox('one', 'two', 'three', 'four');
        await client.mailboxCreate('Away');
        await client.append('Away', mail('zero'));
        const copied = await client.messageCopy('2:3', 'Away', { uid: true });
        assert.deepEqual([...copied.uidMap], [[2, 2], [3, 3]]);
        assert.equal(copied.uidValidity, (await client.status('Away', { uidValidity: true })).uidValidity);
        const moved = await client.messageMove([4, 1], 'Away', { uid: true });
        assert.deepEqual([...moved.uidMap].sort(), [[1, 4], [4, 5]]);
        assert.deepEqual(await uids(client), [2, 3]);
        assert.equal(client.mailbox.exists, 2);
        assert.equal(await client.messageDelete('2', { uid: true }), true);
        assert.deepEqual(await uids(client), [3]);
        assert.equal(await client.messageMove('3', 'No such', { uid: true }), false);
        assert.deepEqual(await uids(client), [3], 'nothing went');
        await client.mailboxOpen('Away');
        const subjects = await client.fetchAll('1:*', { envelope: true, uid: true });
        assert.deepEqual(subjects.map(m => [m.uid, m.envelope.subject]), [[1, 'zero'], [2, 'two'], [3, 'three'], [4, 'one'], [5, 'four']]);
        assert.equal((await client.status('Away', { messages: true, uidNext: true })).uidNext, 6);
        await client.logout();
    },

    async idle() {
        const { actor, watcher } = await idling('one', 'two', 'three');
        assert.equal(watcher.mailbox.exists, 3);
        const exists = next(watcher, 'exists', e => e.count === 4);
        await actor.append('INBOX', mail('four'));
        assert.equal((await exists).prevCount, 3);

        const flags = next(watcher, 'flags', e => e.seq === 2);
        await actor.messageFlagsAdd('2', ['\\Flagged', '$Work'], { uid: true });
        assert.deepEqual(plain((await flags).flags), ['$Work', '\\Flagged']);

        const expunged = next(watcher, 'expunge');
        await actor.messageDelete('1', { uid: true });
        assert.equal((await expunged).seq, 1);

        const moved = next(watcher, 'expunge');
        await actor.messageMove('3', 'Trash', { uid: true });
        assert.equal((await moved).seq, 2);
        assert.equal(watcher.mailbox.exists, 2);
        assert.ok(watcher.idling, 'all of it came while idling');
        assert.deepEqual(await uids(watcher), [2, 4]);
        await Promise.all([actor.logout(), watcher.logout()]);
    },

    async large_append() {
        const who = await account();
        const client = await open(who);
        const attachment = crypto.randomBytes(7_600_000).toString('base64').replace(/.{76}/g, '$&\r\n');
        const large = Buffer.from(mail('large', `${attachment}\r\n`).replace('Date:', 'Content-Transfer-Encoding: base64\r\nContent-Type: application/zip\r\nDate:'));
        assert.ok(large.length > 10_000_000, `${large.length}`);
        const done = await client.append('INBOX', large, ['\\Seen']);
        assert.equal(done.uid, 1);
        await client.mailboxOpen('INBOX');
        const { source, size } = await client.fetchOne('1', { source: true, size: true });
        assert.equal(size, large.length);
        assert.ok(source.equals(large), 'every byte comes back');
        const quota = await client.status('INBOX', { messages: true });
        assert.equal(quota.messages, 1);
        await client.logout();
    }
});

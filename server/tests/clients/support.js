// What the scripts share: cases by name, the server's API, waiting for events.
'use strict';
const web = process.env.WEB;

/** Runs the case that the command line names. It says `done`, as node ends in peace when a promise is forgotten. */
exports.main = cases => {
    const name = process.argv[2];
    Promise.resolve()
        .then(() => {
            if (!Object.hasOwn(cases, name)) throw new Error(`there is no case ${name}`);
            return cases[name]();
        })
        .then(() => {
            console.log(`done: ${name}`);
            process.exit(0);
        })
        .catch(err => {
            console.error(err);
            process.exit(1);
        });
};

exports.web = web;

/** An account, made as Nodemailer makes it. */
exports.account = async () => {
    const answer = await fetch(`${web}/user`, { method: 'POST', body: '{}' });
    if (answer.status !== 200) throw new Error(`POST /user: ${answer.status}`);
    return answer.json();
};

/** GET of the API as an account. */
exports.api = async (account, path) => {
    const credentials = Buffer.from(`${account.user}:${account.pass}`).toString('base64');
    const answer = await fetch(`${web}/users/me${path}`, { headers: { Authorization: `Basic ${credentials}` } });
    if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return answer;
};

/** The bytes at an address, which must be there. */
exports.bytes = async url => {
    const answer = await fetch(url);
    if (answer.status !== 200) throw new Error(`${url}: ${answer.status}`);
    return Buffer.from(await answer.arrayBuffer());
};

/** Fails after `ms` unless the promise settles before. */
exports.within = (ms, what, promise) => {
    let timer;
    const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`${what}: nothing for ${ms} ms`)), ms);
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
};

/** The next event of a name that `wanted` accepts. */
exports.next = (emitter, name, wanted = () => true) =>
    exports.within(
        20_000,
        `event ${name}`,
        new Promise(resolve => {
            const listener = data => {
                if (!wanted(data)) return;
                emitter.off(name, listener);
                resolve(data);
            };
            emitter.on(name, listener);
        })
    );

// What the two scripts share: words to the drill, times, retries.
'use strict';
const fs = require('node:fs');

const HEALED_BY = 90_000;
const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 1000;

exports.name = process.env.DRILL_NAME;
exports.host = '127.0.0.1';
exports.auth = { user: process.env.DRILL_USER, pass: process.env.DRILL_PASS };

/** One event for the ledger. Written at once: what a client that dies has seen must not die with it. */
exports.tell = (event, data = {}) => fs.writeSync(1, `${JSON.stringify({ event, ...data })}\n`);

/** Seconds since the epoch, as the ledger counts. */
exports.now = () => (performance.timeOrigin + performance.now()) / 1000;

exports.sleep = ms => new Promise(resolve => setTimeout(resolve, ms));

/** Whether the drill has told its clients to finish. */
exports.stopping = () => fs.existsSync(process.env.DRILL_STOP);

/** Waits between attempts, longer each time; gives up when it has been in vain for too long. */
exports.Retry = class {
    pause = FIRST_PAUSE;
    began = Date.now();
    async wait(err) {
        if (Date.now() - this.began > HEALED_BY) throw new Error(`not healed within ${HEALED_BY} ms: ${err.message}`);
        await exports.sleep(this.pause);
        this.pause = Math.min(2 * this.pause, LONGEST_PAUSE);
    }
};

/** Runs a client to its end; what it can't recover from is the drill's to know. */
exports.main = work => {
    work()
        .catch(err => exports.tell('giveup', { note: `${err.code || err.name}: ${err.message}` }))
        .then(() => process.exit(0));
};

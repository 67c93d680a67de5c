// deploy/mongodb/replica-set.js against a mongosh that only remembers.
const assert = require('assert');
const fs = require('fs');
const vm = require('vm');

const script = fs.readFileSync(process.argv[2], 'utf8');

function mongosh(state, env) {
    const said = [];
    const admin = {
        createUser(user) {
            if (Object.keys(state.users).length > 0 && !state.loggedIn) {
                throw Object.assign(new Error('unauthorized'), { code: 13 });
            }
            if (state.users[user.user]) {
                throw Object.assign(new Error('exists'), { code: 51003 });
            }
            state.users[user.user] = user;
        },
        getUser(name) {
            assert(state.loggedIn, 'it asks after it has logged in');
            return state.users[name] || null;
        },
        auth(user, password) {
            if (!state.users[user] || state.users[user].pwd !== password) {
                throw new Error('authentication failed');
            }
            state.loggedIn = true;
        },
        runCommand(command) {
            state.commands.push(command);
            return { ok: 1 };
        }
    };
    const context = {
        process: { env },
        print: line => said.push(String(line)),
        passwordPrompt: () => assert.fail('it has the password'),
        sleep: () => state.slept++,
        rs: {
            initiate(config) {
                assert(!state.config, 'it is initiated once');
                state.config = config;
            },
            conf: () => state.config
        },
        db: {
            // The first answers come before the election is over.
            hello: () =>
                state.config ? { setName: state.config._id, me: state.me, primary: state.primary, isWritablePrimary: state.primary === undefined && state.slept > 2 } : {},
            getSiblingDB: name => (assert.strictEqual(name, 'admin'), admin)
        }
    };
    state.loggedIn = false;
    vm.runInNewContext(script, context);
    return said.join('\n');
}

const fresh = () => ({ users: {}, commands: [], slept: 0, me: '10.0.0.1:27017' });
const env = { MEMBERS: '10.0.0.1,10.0.0.2,10.0.0.3:27018', ADMIN_PASSWORD: 'pw-a', GADWALL_PASSWORD: 'pw-g', BACKUP_PASSWORD: 'pw-b' };

const state = fresh();
const said = mongosh(state, env);
assert.deepStrictEqual(Array.from(state.config.members, m => m.host), ['10.0.0.1:27017', '10.0.0.2:27017', '10.0.0.3:27018']);
assert(state.config.members.every(m => m.priority === 1 && m.votes === 1));
assert.strictEqual(state.config.settings.electionTimeoutMillis, 5000);
assert.deepStrictEqual(Object.keys(state.users), ['admin', 'gadwall', 'backup']);
const roles = Array.from(state.users.gadwall.roles, r => `${r.role}@${r.db}`);
assert.deepStrictEqual(roles, ['readWrite@gadwall', 'clusterMonitor@admin']);
assert.strictEqual(state.commands[0].defaultWriteConcern.w, 'majority');
assert(!/pw-/.test(said), 'no password is shown');

// Again: nothing is made twice.
const again = mongosh(state, env);
assert(/user gadwall is there/.test(again) && Object.keys(state.users).length === 3);

// On a member that is not the primary it says where to go.
const secondary = { ...fresh(), config: state.config, primary: '10.0.0.2:27017' };
assert.throws(() => mongosh(secondary, env), /run this on 10.0.0.2:27017/);
console.log('done');

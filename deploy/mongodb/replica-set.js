// Makes the replica set and its users. On one member, as it runs on localhost and has no users yet:
//
//   MEMBERS=10.0.0.1,10.0.0.2,10.0.0.3 mongosh --quiet --file replica-set.js
//
// Asks for three passwords, unless ADMIN_PASSWORD, GADWALL_PASSWORD and BACKUP_PASSWORD have them. May be run again: what
// is there stays as it is.
const env = process.env;
const members = (env.MEMBERS || '10.0.0.1,10.0.0.2,10.0.0.3').split(',');
const secret = name => {
    if (env[name]) {
        return env[name];
    }
    print(name.toLowerCase().replace('_', ' ') + ':');
    return passwordPrompt();
};

const initiated = () => {
    const hello = db.hello();
    return Boolean(hello.setName);
};

if (!initiated()) {
    rs.initiate({
        _id: 'gadwall',
        // All alike: whichever has the latest data may become primary, and none takes the role back when it returns,
        // which would be a second election for nothing. Three votes, no arbiter: a majority always holds the data.
        members: members.map((host, i) => ({ _id: i, host: host.includes(':') ? host : host + ':27017', priority: 1, votes: 1 })),
        // An election begins after 5 s without a primary; with the default of 10 s clients wait twice as long.
        settings: { electionTimeoutMillis: 5000, heartbeatIntervalMillis: 1000 }
    });
    print('replica set initiated');
}
while (!db.hello().isWritablePrimary) {
    const primary = db.hello().primary;
    if (primary && primary !== db.hello().me) {
        throw new Error('this member is not the primary; run this on ' + primary);
    }
    sleep(200);
}

const admin = db.getSiblingDB('admin');
const adminPassword = secret('ADMIN_PASSWORD');
try {
    // Possible from localhost as long as there is no user.
    admin.createUser({ user: 'admin', pwd: adminPassword, roles: ['root'] });
    print('user admin made');
} catch (e) {
    // 13 Unauthorized, 51003 user exists.
    if (e.code !== 13 && e.code !== 51003) {
        throw e;
    }
}
admin.auth('admin', adminPassword);

const make = (user, password, roles) => {
    if (admin.getUser(user)) {
        print('user ' + user + ' is there');
        return;
    }
    admin.createUser({ user, pwd: password(), roles });
    print('user ' + user + ' made');
};
// Reads and writes mail, makes its indexes, and may ask how the members are (gadwall cluster status).
make('gadwall', () => secret('GADWALL_PASSWORD'), [
    { role: 'readWrite', db: 'gadwall' },
    { role: 'clusterMonitor', db: 'admin' }
]);
make('backup', () => secret('BACKUP_PASSWORD'), [{ role: 'backup', db: 'admin' }]);

// Gadwall says w:majority, j:true with every write. Whoever else writes shall have no less.
admin.runCommand({ setDefaultRWConcern: 1, defaultWriteConcern: { w: 'majority', wtimeout: 0 } });
print('members: ' + rs.conf().members.map(m => m.host).join(', '));

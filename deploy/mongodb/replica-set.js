// Once, on one member: mongosh --file replica-set.js
// Elections begin after 5 s without a primary; with the defaults of 10 s clients wait twice as long.
rs.initiate({
    _id: 'gadwall',
    members: [
        { _id: 0, host: '10.0.0.1:27017' },
        { _id: 1, host: '10.0.0.2:27017' },
        { _id: 2, host: '10.0.0.3:27017' }
    ],
    settings: { electionTimeoutMillis: 5000, heartbeatIntervalMillis: 1000 }
});
while (!db.hello().isWritablePrimary) {
    sleep(200);
}
db.getSiblingDB('admin').createUser({
    user: 'admin',
    pwd: passwordPrompt(),
    roles: ['root']
});
db.getSiblingDB('admin').auth('admin', passwordPrompt());
db.getSiblingDB('gadwall').createUser({
    user: 'gadwall',
    pwd: passwordPrompt(),
    roles: [{ role: 'readWrite', db: 'gadwall' }, { role: 'dbAdmin', db: 'gadwall' }]
});

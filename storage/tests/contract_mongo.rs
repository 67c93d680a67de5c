//! The contract, on the MongoDB backend.

mod mongodb;

gadwall_storage::contract_suite!(mongodb::MongoBackend);

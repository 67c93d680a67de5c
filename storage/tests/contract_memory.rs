//! The contract, on the memory backend.

gadwall_storage::contract_suite!(gadwall_storage::contract::MemoryBackend);

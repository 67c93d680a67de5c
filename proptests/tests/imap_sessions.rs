//! Whatever two or three connections do beside each other, the mailboxes become what IMAP's rules say, and every
//! connection is told of it what it may be told, and in the end all.

use gadwall_proptests::config;
use gadwall_proptests::sessions::{Play, Step, steps};
use proptest::prelude::*;

fn play(steps: &[Step]) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { Play::new().await?.run(steps).await })
}

proptest! {
    #![proptest_config(config(200))]

    #[test]
    fn connections_are_told_what_has_become_of_the_mailboxes(steps in steps()) {
        if let Err(why) = play(&steps) {
            prop_assert!(false, "{}", why);
        }
    }
}

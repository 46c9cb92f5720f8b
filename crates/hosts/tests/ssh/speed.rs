//! Figures, not promises: `cargo test -p airlift-hosts --test ssh -- --ignored --nocapture speed`.

use std::time::Instant;

use airlift_hosts::ssh::{Command, ExitStatus};
use tokio::io::AsyncWriteExt as _;

use crate::common::{login, run, server, sh, with_key};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures, and asserts nothing about the figures"]
async fn speed_of_connecting_and_of_256_mib_each_way() {
    let (sshd, key) = server();
    for _ in 0..5 {
        let start = Instant::now();
        let session = login(&sshd, with_key(&key)).await.unwrap();
        let connected = start.elapsed();
        run(&session, &Command::new("true")).await;
        let total = start.elapsed();
        let again = Instant::now();
        run(&session, &Command::new("true")).await;
        println!("connect {connected:?}, connect and exec {total:?}, exec on a session {:?}", again.elapsed());
    }
    let session = login(&sshd, with_key(&key)).await.unwrap();

    let data = vec![7_u8; 1 << 20];
    let mut exec = session.exec(&sh("cat > /dev/null")).await.unwrap();
    let start = Instant::now();
    for _ in 0..256 {
        exec.stdin.write_all(&data).await.unwrap();
    }
    exec.stdin.close().await.unwrap();
    assert_eq!(exec.exit.wait().await.unwrap(), ExitStatus::Code(0));
    println!("256 MiB up: {:.0} MiB/s", 256.0 / start.elapsed().as_secs_f64());

    let mut exec = session.exec(&sh("head -c 268435456 /dev/zero")).await.unwrap();
    let start = Instant::now();
    let mut total = 0;
    while let Some(chunk) = exec.stdout.chunk().await.unwrap() {
        total += chunk.len();
    }
    assert_eq!(total, 256 << 20);
    println!("256 MiB down: {:.0} MiB/s", 256.0 / start.elapsed().as_secs_f64());
}

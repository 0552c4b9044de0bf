//! Another company's server for browser tests: says on one line how our server comes to know it, and ends with its input.

#![allow(clippy::print_stdout, reason = "what it says is how the test learns it")]

use serde_json::json;
use tokio::io::AsyncReadExt as _;
use vaxel_tests::outside::Outside;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let outside = Outside::start().await;
    let config = outside.known_to_host().config;
    println!("{}", json!({"port": outside.port, "config": config}));
    let mut rest = Vec::new();
    tokio::io::stdin().read_to_end(&mut rest).await?;
    Ok(())
}

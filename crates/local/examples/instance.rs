//! A program that is nothing but an instance: `instance FOLDER`. The tests start it as the binary's hidden command would be.

#[tokio::main]
async fn main() -> Result<(), String> {
    let folder = std::env::args().nth(1).ok_or("usage: instance FOLDER")?;
    airlift_local::instance::serve(folder.as_str().into()).await.map_err(|error| error.to_string())
}

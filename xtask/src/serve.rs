//! Serving the finished page as a strict deployment would.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use axum::Router;
use axum::http::{HeaderName, HeaderValue};
use tower_http::services::ServeDir;
use tower_http::set_header::SetResponseHeaderLayer;

/// The page's whole freedom: its own scripts (WebAssembly among them), styles, images, fonts and data, and a worker.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; \
    img-src 'self' data: blob:; connect-src 'self'; worker-src 'self'; font-src 'self'; manifest-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Headers of every answer. The browser asks again each time, so that a rebuilt page is seen at once, and is told "not
/// modified" where nothing changed.
const HEADERS: &[(&str, &str)] = &[
    ("content-security-policy", CONTENT_SECURITY_POLICY),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cache-control", "no-cache"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-embedder-policy", "require-corp"),
    ("cross-origin-resource-policy", "same-origin"),
];

/// The sub-path below which the page is served once more, because it has to work there too.
pub const SUB_PATH: &str = "/some/where";

/// How many ports after the wanted one are tried.
const PORTS_TRIED: u16 = 50;

/// Serves `folder` until the program is stopped, on `port` or the next free one.
pub fn until_stopped(folder: &Path, port: u16, open: bool) -> Result<()> {
    let listener = bind(port)?;
    let address = address(&listener)?;
    println!("Klimb is at {address} (Ctrl-C stops it)");
    if open {
        show(&address);
    }
    serve(folder, listener)
}

/// Serves `folder` in the background on a free port for as long as this program runs, at the root and below
/// [`SUB_PATH`], and gives the root's address.
pub fn in_background(folder: &Path) -> Result<String> {
    let listener = bind(0)?;
    let address = address(&listener)?;
    let folder = folder.to_path_buf();
    std::thread::spawn(move || {
        if let Err(error) = serve(&folder, listener) {
            eprintln!("The server stopped: {error:#}");
        }
    });
    Ok(address)
}

fn address(listener: &TcpListener) -> Result<String> {
    Ok(format!("http://localhost:{}/", listener.local_addr()?.port()))
}

/// Listens on `port` of this machine only, or on the next one that is free; busy ones are named.
fn bind(port: u16) -> Result<TcpListener> {
    let last = port.saturating_add(PORTS_TRIED);
    for candidate in port..=last {
        match TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, candidate))) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                println!("Port {candidate} is busy; trying the next");
            }
            outcome => return outcome.with_context(|| format!("cannot listen on port {candidate}")),
        }
    }
    anyhow::bail!("ports {port} to {last} are all busy; choose another by --port")
}

fn serve(folder: &Path, listener: TcpListener) -> Result<()> {
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        axum::serve(listener, router(folder)).await.context("the server stopped")
    })
}

fn router(folder: &Path) -> Router {
    let files = ServeDir::new(folder);
    let files = Router::new().nest_service(SUB_PATH, files.clone()).fallback_service(files);
    HEADERS.iter().fold(files, |router, (name, value)| {
        router.layer(SetResponseHeaderLayer::overriding(HeaderName::from_static(name), HeaderValue::from_static(value)))
    })
}

fn show(address: &str) {
    let opener = match std::env::consts::OS {
        "macos" => "open",
        "windows" => "explorer",
        _ => "xdg-open",
    };
    if Command::new(opener).arg(address).spawn().is_err() {
        println!("No browser could be started ({opener} is missing); open the address yourself");
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use super::*;

    fn get(address: &str, path: &str) -> String {
        let host = address.trim_start_matches("http://").trim_end_matches('/');
        let mut stream = TcpStream::connect(host).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).to_lowercase()
    }

    #[test]
    fn files_have_their_types_and_every_answer_the_strict_headers() {
        let folder = std::env::temp_dir().join(format!("klimb-serve-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let types = [
            ("index.html", "text/html"),
            ("main.js", "text/javascript"),
            ("klimb_bg.wasm", "application/wasm"),
            ("style.css", "text/css"),
            ("base.safetensors", "application/octet-stream"),
        ];
        for (name, _) in types {
            fs::write(folder.join(name), "x").unwrap();
        }
        let address = in_background(&folder).unwrap();
        for (name, kind) in types {
            let answer = get(&address, &format!("/{name}"));
            assert!(answer.starts_with("http/1.1 200"), "{name}: {answer}");
            assert!(answer.contains(&format!("content-type: {kind}")), "{name}: {answer}");
        }
        assert!(get(&address, "/").contains("content-type: text/html"));
        assert!(get(&address, &format!("{SUB_PATH}/")).contains("content-type: text/html"));
        let missing = get(&address, "/missing.js");
        assert!(missing.starts_with("http/1.1 404"), "{missing}");
        for (name, value) in HEADERS {
            assert!(missing.contains(&format!("{name}: {}", value.to_lowercase())), "{name}: {missing}");
        }
        assert!(get(&address, "/../Cargo.toml").starts_with("http/1.1 404"));
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_busy_port_is_passed_over() {
        let taken = bind(0).unwrap();
        let port = taken.local_addr().unwrap().port();
        assert!(bind(port).unwrap().local_addr().unwrap().port() > port);
    }
}

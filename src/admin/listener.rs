//! Serves operators at a listener that is bound, until a stop.

use std::time::Duration;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::IntoResponse;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;

use crate::admin::Admin;
use crate::edge::door::Listener;

/// How long one answer may take, its request included.
const WITHIN: Duration = Duration::from_secs(10);

/// Answers until `shutdown` turns true. What is said in the log if it cannot.
pub async fn run(admin: Admin, listener: Listener, mut shutdown: watch::Receiver<bool>) {
    let bounded = middleware::from_fn(|request: Request, next: Next| async {
        let answer = tokio::time::timeout(WITHIN, next.run(request)).await;
        answer.unwrap_or_else(|_| StatusCode::REQUEST_TIMEOUT.into_response())
    });
    let router = admin.router().layer(bounded);
    let stopped = async move {
        // An error means that nobody is left who could ask for a stop.
        let _ = shutdown.wait_for(|stop| *stop).await;
    };
    let served = async {
        match listener {
            Listener::Tcp(listener) => {
                let listener = TcpListener::from_std(listener)?;
                axum::serve(listener, router).with_graceful_shutdown(stopped).await
            }
            Listener::Unix(listener) => {
                listener.set_nonblocking(true)?;
                let listener = UnixListener::from_std(listener)?;
                axum::serve(listener, router).with_graceful_shutdown(stopped).await
            }
        }
    };
    if let Err(error) = served.await {
        log::error!("the listener for operators has failed; reason={error}");
    }
}

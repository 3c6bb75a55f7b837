use axum::{
    Json, Router,
    http::StatusCode,
    routing::{get, post},
};
use tempfile::TempDir;
use tokio::net::UnixListener;

use super::*;

/// A server with these routes, its client, and the directory that the socket is in.
fn serve(routes: Router) -> (Client, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("control.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (Client::new(&socket), directory)
}

fn policy_text() -> PolicyText {
    PolicyText {
        serial: 42,
        file: "/etc/manoward/policy.yaml".into(),
        applied: "2026-01-02T03:04:05Z".into(),
        text: "name: x\n".repeat(100_000),
    }
}

#[tokio::test]
async fn answers_are_read_whole() {
    let routes = Router::new().route("/v1/policy", get(|| async { Json(policy_text()) }));
    let (client, _directory) = serve(routes);
    for _ in 0..2 {
        let policy = client.policy(&PolicyQuery::default()).await.unwrap();
        assert_eq!(policy.serial, 42);
        assert_eq!(policy.text.len(), 800_000);
    }
}

#[tokio::test]
async fn bodies_arrive_as_json() {
    let routes = Router::new().route(
        "/v1/policy/diff",
        post(|Json(candidate): Json<Candidate>| async move {
            assert_eq!(candidate.text, "name: y\n");
            Json(Difference {
                from: 1,
                to: 2,
                changes: Vec::new(),
                gained: Vec::new(),
                lost: Vec::new(),
                apply_refuses: Vec::new(),
            })
        }),
    );
    let (client, _directory) = serve(routes);
    let candidate = Candidate {
        text: "name: y\n".into(),
        file: "y.yaml".into(),
        ..Candidate::default()
    };
    let difference = client.diff(&candidate).await.unwrap();
    assert_eq!((difference.from, difference.to), (1, 2));
}

#[tokio::test]
async fn failures_are_the_agent_s_own_words() {
    let failure = Failure {
        message: "only root may detach".into(),
        code: "not-allowed".into(),
        report: None,
    };
    let refuse = post(|| async { (StatusCode::FORBIDDEN, Json(failure)) });
    let (client, _directory) = serve(Router::new().route("/v1/detach", refuse));
    let error = client.detach().await.unwrap_err();
    assert_eq!(error.to_string(), "only root may detach");
    assert_eq!(error.failure().unwrap().code, "not-allowed");
    assert!(!error.is_absent());
}

#[tokio::test]
async fn other_answers_are_not_understood() {
    let routes = Router::new()
        .route(
            "/v1/status",
            get(|| async { Json(serde_json::json!({ "version": 7 })) }),
        )
        .route(
            "/v1/stats",
            get(|| async { (StatusCode::PAYLOAD_TOO_LARGE, "too large\n") }),
        );
    let (client, _directory) = serve(routes);
    let error = client.status().await.unwrap_err();
    assert!(
        matches!(error, ClientError::Unintelligible { .. }),
        "{error}"
    );
    let error = client.stats().await.unwrap_err().to_string();
    assert!(
        error.contains("GET /v1/stats") && error.contains("too large"),
        "{error}"
    );
}

#[tokio::test]
async fn an_absent_agent_is_told_from_a_broken_one() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("control.sock");
    let client = Client::new(&socket);
    let error = client.status().await.unwrap_err();
    assert!(matches!(error, ClientError::Missing { .. }), "{error}");
    assert!(error.is_absent());

    drop(UnixListener::bind(&socket).unwrap());
    let error = client.status().await.unwrap_err();
    assert!(matches!(error, ClientError::Refused { .. }), "{error}");
    assert!(error.is_absent());

    std::fs::remove_file(&socket).unwrap();
    let listener = UnixListener::bind(&socket).unwrap();
    tokio::spawn(async move { drop(listener.accept().await) });
    let error = client.status().await.unwrap_err();
    assert!(matches!(error, ClientError::Broken { .. }), "{error}");
    assert!(!error.is_absent());
}

#[tokio::test(start_paused = true)]
async fn silence_ends() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("control.sock");
    let _listener = UnixListener::bind(&socket).unwrap();
    let error = Client::new(&socket).status().await.unwrap_err();
    assert!(matches!(error, ClientError::Silent { .. }), "{error}");
    assert!(
        error.to_string().contains("GET /v1/status within 10 s"),
        "{error}"
    );
}

#[test]
fn who_may_open_a_socket_of_root_alone() {
    let directory = tempfile::tempdir().unwrap();
    let remedy = entitled(&directory.path().join("absent.sock"));
    assert_eq!(remedy, "only root may. Use sudo");
}

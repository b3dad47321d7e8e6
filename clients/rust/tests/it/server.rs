//! A gRPC server whose answers the test gives.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use secretslots::v1::secret_service_server::{SecretService, SecretServiceServer};
use secretslots::v1::watch_slots_response::Event;
use secretslots::v1::{self};
use tokio::net::{TcpListener, UnixListener};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::{TcpListenerStream, UnboundedReceiverStream, UnixListenerStream};
use tonic::transport::ServerTlsConfig;
use tonic::{Request, Response, Status};

use crate::{BOUND, soon};

/// Lives on a runtime of its own, so that dropping it cuts every connection, as SIGKILL does.
pub struct Server {
    /// As a client takes it.
    pub address: String,
    pub watches: mpsc::UnboundedReceiver<Watch>,
    pub calls: Calls,
    runtime: Option<Runtime>,
}

/// One WatchSlots that has arrived. Dropping it ends the stream OK.
pub struct Watch {
    pub request: v1::WatchSlotsRequest,
    pub bearer: String,
    send: mpsc::UnboundedSender<Result<v1::WatchSlotsResponse, Status>>,
}

/// What was asked by unary calls, and how the next ones are answered.
#[derive(Clone, Default)]
pub struct Calls(Arc<Mutex<Plan>>);

#[derive(Default)]
struct Plan {
    failures: VecDeque<Status>,
    stall: bool,
    damage: bool,
    bearers: Vec<String>,
    puts: Vec<v1::PutSlotRequest>,
}

impl Calls {
    fn plan(&self) -> std::sync::MutexGuard<'_, Plan> {
        self.0.lock().unwrap()
    }

    /// The next calls fail with these, one each.
    pub fn fail(&self, failures: impl IntoIterator<Item = Status>) {
        self.plan().failures.extend(failures);
    }

    /// Calls get no answer from now on.
    pub fn stall(&self) {
        self.plan().stall = true;
    }

    /// Values no longer match their checksum.
    pub fn damage(&self) {
        self.plan().damage = true;
    }

    /// The `authorization` of each call so far.
    pub fn bearers(&self) -> Vec<String> {
        self.plan().bearers.clone()
    }

    pub fn puts(&self) -> Vec<v1::PutSlotRequest> {
        self.plan().puts.clone()
    }

    async fn admit<T>(&self, request: &Request<T>) -> Result<(), Status> {
        let stall = {
            let mut plan = self.plan();
            plan.bearers.push(bearer(request));
            if let Some(failure) = plan.failures.pop_front() {
                return Err(failure);
            }
            plan.stall
        };
        if stall {
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

fn bearer<T>(request: &Request<T>) -> String {
    let header = request.metadata().get("authorization");
    header.map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
}

impl Server {
    /// On a free port.
    pub fn start() -> Self {
        Self::serve(None, None)
    }

    pub fn start_tls(tls: ServerTlsConfig) -> Self {
        Self::serve(None, Some(tls))
    }

    /// On a unix socket, where a server can come back after it was killed and nobody else can.
    pub fn start_at(socket: &Path) -> Self {
        Self::serve(Some(socket.to_owned()), None)
    }

    fn serve(socket: Option<PathBuf>, tls: Option<ServerTlsConfig>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (arrivals, watches) = mpsc::unbounded_channel();
        let calls = Calls::default();
        let service = SecretServiceServer::new(Scripted { arrivals, calls: calls.clone() });
        let (bound, address) = std::sync::mpsc::channel();
        runtime.spawn(async move {
            let mut server = tonic::transport::Server::builder();
            if let Some(tls) = tls {
                server = server.tls_config(tls).unwrap();
            }
            let router = server.add_service(service);
            if let Some(socket) = socket {
                // What a killed server leaves behind.
                let _ = std::fs::remove_file(&socket);
                let listener = UnixListener::bind(&socket).unwrap();
                bound.send(format!("unix:{}", socket.display())).unwrap();
                router.serve_with_incoming(UnixListenerStream::new(listener)).await.unwrap();
            } else {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                bound.send(listener.local_addr().unwrap().to_string()).unwrap();
                router.serve_with_incoming(TcpListenerStream::new(listener)).await.unwrap();
            }
        });
        let address = address.recv_timeout(BOUND).unwrap();
        Self { address, watches, calls, runtime: Some(runtime) }
    }

    pub fn port(&self) -> &str {
        self.address.rsplit(':').next().unwrap()
    }

    pub async fn watch(&mut self) -> Watch {
        soon(self.watches.recv()).await.expect("the server runs")
    }

    /// Cuts every connection; it is gone when this returns.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A runtime may not be waited for on another one's thread.
            std::thread::spawn(|| runtime.shutdown_timeout(BOUND)).join().unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

impl Watch {
    pub fn send(&self, epoch: &str, revision: u64, event: Event) {
        let carries_token = matches!(event, Event::Synced(_) | Event::Progress(_));
        let resume_token = if carries_token { format!("{epoch}/{revision}") } else { String::new() };
        let message = v1::WatchSlotsResponse { epoch: epoch.into(), revision, resume_token, event: Some(event) };
        // A client that is gone is what some tests wait for.
        let _ = self.send.send(Ok(message));
    }

    /// The whole of one secret, ended by `synced`, each slot made by the commit `revision`.
    pub fn state(&self, epoch: &str, revision: u64, name: &str, slots: &[(u64, &str)]) {
        self.send(epoch, revision, begin(name));
        self.changes(epoch, revision, name, slots);
    }

    /// Slots of one secret, ended by `synced`.
    pub fn changes(&self, epoch: &str, revision: u64, name: &str, slots: &[(u64, &str)]) {
        for &(number, value) in slots {
            self.send(epoch, revision, slot(name, number, value));
        }
        self.send(epoch, revision, synced());
    }

    pub fn fail(self, status: Status) {
        let _ = self.send.send(Err(status));
    }

    /// Waits until the client is gone from this stream.
    pub async fn left(&self) {
        soon(self.send.closed()).await;
    }
}

pub fn begin(name: &str) -> Event {
    Event::Begin(v1::Begin { name: name.into() })
}

pub fn slot(name: &str, slot: u64, value: &str) -> Event {
    let crc32c = Some(crc32c(value.as_bytes()));
    let create_time = Some(std::time::SystemTime::UNIX_EPOCH.into());
    let value = value.as_bytes().to_vec();
    Event::Slot(v1::LiveSlot { name: name.into(), slot: Some(slot), value, crc32c, create_time })
}

pub fn absent(name: &str) -> Event {
    Event::Absent(v1::AbsentSecret { name: name.into(), reason: v1::AbsentReason::NotExisting.into() })
}

pub fn synced() -> Event {
    Event::Synced(v1::Synced {})
}

pub fn progress() -> Event {
    Event::Progress(v1::Progress {})
}

pub fn history_reset() -> Event {
    Event::HistoryReset(v1::HistoryReset {})
}

/// Bit by bit, unlike the client's.
pub fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), step))
}

struct Scripted {
    arrivals: mpsc::UnboundedSender<Watch>,
    calls: Calls,
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

fn unplanned<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("not in the script"))
}

#[tonic::async_trait]
impl SecretService for Scripted {
    type WatchSecretStream = Answers<v1::WatchSecretResponse>;
    type WatchSlotsStream = Answers<v1::WatchSlotsResponse>;

    async fn get_secret(
        &self,
        request: Request<v1::GetSecretRequest>,
    ) -> Result<Response<v1::GetSecretResponse>, Status> {
        self.calls.admit(&request).await?;
        let value = b"value".to_vec();
        let crc = crc32c(&value) ^ u32::from(self.calls.plan().damage);
        Ok(Response::new(v1::GetSecretResponse {
            name: request.into_inner().name,
            slot: Some(5),
            value,
            crc32c: Some(crc),
            create_time: None,
            revision: 7,
            epoch: "e".into(),
        }))
    }

    async fn put_slot(
        &self,
        request: Request<v1::PutSlotRequest>,
    ) -> Result<Response<v1::PutSlotResponse>, Status> {
        self.calls.plan().puts.push(request.get_ref().clone());
        self.calls.admit(&request).await?;
        Ok(Response::new(v1::PutSlotResponse { slot: request.into_inner().slot, ..Default::default() }))
    }

    async fn watch_slots(
        &self,
        request: Request<v1::WatchSlotsRequest>,
    ) -> Result<Response<Self::WatchSlotsStream>, Status> {
        let (send, receive) = mpsc::unbounded_channel();
        let bearer = bearer(&request);
        let _ = self.arrivals.send(Watch { request: request.into_inner(), bearer, send });
        Ok(Response::new(Box::pin(UnboundedReceiverStream::new(receive))))
    }

    async fn list_secrets(
        &self,
        request: Request<v1::ListSecretsRequest>,
    ) -> Result<Response<v1::ListSecretsResponse>, Status> {
        self.calls.admit(&request).await?;
        let (names, next) = match request.get_ref().page_token.as_str() {
            "" => (vec!["a", "b"], "2"),
            // A page may be empty and not the last.
            "2" => (vec![], "3"),
            _ => (vec!["c"], ""),
        };
        let secret = |name: &str| v1::SecretMetadata { name: name.into(), ..Default::default() };
        let secrets = names.into_iter().map(secret).collect();
        let next_page_token = next.into();
        Ok(Response::new(v1::ListSecretsResponse { secrets, next_page_token, epoch: "e".into() }))
    }

    async fn get_effective_at(
        &self,
        _: Request<v1::GetEffectiveAtRequest>,
    ) -> Result<Response<v1::GetEffectiveAtResponse>, Status> {
        unplanned()
    }

    async fn watch_secret(
        &self,
        _: Request<v1::WatchSecretRequest>,
    ) -> Result<Response<Self::WatchSecretStream>, Status> {
        unplanned()
    }

    async fn describe_secret(
        &self,
        _: Request<v1::DescribeSecretRequest>,
    ) -> Result<Response<v1::DescribeSecretResponse>, Status> {
        unplanned()
    }

    async fn list_slots(
        &self,
        _: Request<v1::ListSlotsRequest>,
    ) -> Result<Response<v1::ListSlotsResponse>, Status> {
        unplanned()
    }

    async fn update_secret(
        &self,
        _: Request<v1::UpdateSecretRequest>,
    ) -> Result<Response<v1::UpdateSecretResponse>, Status> {
        unplanned()
    }

    async fn disable_slot(
        &self,
        _: Request<v1::DisableSlotRequest>,
    ) -> Result<Response<v1::DisableSlotResponse>, Status> {
        unplanned()
    }

    async fn enable_slot(
        &self,
        _: Request<v1::EnableSlotRequest>,
    ) -> Result<Response<v1::EnableSlotResponse>, Status> {
        unplanned()
    }

    async fn destroy_slot(
        &self,
        _: Request<v1::DestroySlotRequest>,
    ) -> Result<Response<v1::DestroySlotResponse>, Status> {
        unplanned()
    }

    async fn delete_secret(
        &self,
        _: Request<v1::DeleteSecretRequest>,
    ) -> Result<Response<v1::DeleteSecretResponse>, Status> {
        unplanned()
    }

    async fn get_server_info(
        &self,
        _: Request<v1::GetServerInfoRequest>,
    ) -> Result<Response<v1::GetServerInfoResponse>, Status> {
        unplanned()
    }
}

//! A login exchange with the upstream: it goes on without its client.
//!
//! It is settled before the first byte of the answer goes downstream.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{UPGRADE, WWW_AUTHENTICATE};
use http::response::Parts;
use http::{Request, Response, StatusCode};
use http_body::Body as _;
use http_body::Frame;
use hyper::body::Incoming;

use super::Worker;
use super::answer::{Content, Home, UpstreamBody};
use super::case::Case;
use super::forward::After;
use super::recognise::Writing;
use crate::alarm::Alarm;
use crate::body::RequestBody;
use crate::headers::{authenticates_connection, is_websocket};
use crate::policy::balance::Tie;
use crate::policy::coding::Coding;
use crate::policy::outcome::{Head, Judgement, NoAnswer};
use crate::quiet::next_frame;
use crate::rejection::Rejection;
use crate::store::Permit;
use crate::upstream::fault::Fault;
use crate::upstream::pool::Wanted;
use crate::upstream::servers::Servers;
use crate::upstream::{Age, Lease, SendFailure, Sending, Sent, TunnelEnd, UpstreamError};

/// How much of an answer is read to decide an outcome, decoded.
const MOST_OF_BODY: usize = 64 * 1024;

/// On what grounds an attempt goes on.
#[derive(Debug)]
pub(super) enum Holding {
    /// Its Basic credentials were right a moment ago: no places, but a failure counts.
    Accepted,
    /// It is never counted.
    Exempt,
    /// `monitor`: no places, but a failure counts if nothing would have refused it.
    Monitored,
    /// It holds its places.
    Permit(Permit),
    /// `monitor`: it would have been refused, so that it changes nothing.
    Uncounted,
}

impl Holding {
    /// The grounds in words.
    pub(super) const fn words(&self) -> &'static str {
        match self {
            Self::Accepted => "its Basic credentials were right a moment ago",
            Self::Exempt => "`never_lock`: it is neither refused nor counted",
            Self::Monitored => "`monitor` mode: it holds no places, and a failure counts",
            Self::Permit(_) => "it holds a place in each of its counters for each guess",
            Self::Uncounted => "`monitor` mode: it would have been refused, and changes nothing",
        }
    }
}

/// An attempt on its way.
#[derive(Debug)]
pub(super) struct Going {
    /// What is sent.
    pub request: Request<RequestBody>,
    /// Which server it goes to.
    pub tie: Tie,
    /// The connection that was authenticated for its client.
    pub own: Option<Lease>,
    /// What it leaves behind.
    pub after: After,
    /// Whether the request authenticates its connection.
    pub authenticates: bool,
    /// Where its body still streams, the alarm that rings when that or the answer takes too long.
    pub streaming: Option<Rc<Alarm>>,
}

/// What came of an attempt that reached the upstream.
pub(super) struct Answered {
    /// The upstream's answer.
    pub response: Response<Content>,
    /// The upstream's end of the tunnel that was agreed on.
    pub tunnel: Option<TunnelEnd>,
}

/// Sends an attempt upstream and waits for what came of it. Dropping the future leaves the
/// exchange to itself: it is settled all the same, and counted among those without a client.
pub(super) fn begin(case: Rc<Case>, holding: Holding, going: Box<Going>) -> Attended {
    let exchange = Box::pin(run(Rc::clone(&case), holding, going));
    Attended { exchange: Some(exchange), case }
}

type Exchange = Pin<Box<dyn Future<Output = Result<Answered, Rejection>>>>;

/// An exchange whose client waits for it. It costs a task of its own only when the client goes.
pub(super) struct Attended {
    exchange: Option<Exchange>,
    case: Rc<Case>,
}

impl Future for Attended {
    type Output = Result<Answered, Rejection>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(exchange) = &mut self.exchange else { return Poll::Pending };
        let result = ready!(exchange.as_mut().poll(context));
        self.exchange = None;
        Poll::Ready(result)
    }
}

impl Drop for Attended {
    fn drop(&mut self) {
        let Some(exchange) = self.exchange.take() else { return };
        if self.case.worker.has_ended() {
            return; // there is nobody to run it; its permit charges a failure
        }
        let case = Rc::clone(&self.case);
        tokio::task::spawn_local(async move {
            let subject = &case.claim.subject;
            let detached = &case.worker.shared.detached;
            let _without = detached.begin(subject.address(), Arc::clone(&subject.site));
            // nobody waits for the answer: it ends here, and its connection with it
            drop(exchange.await);
        });
    }
}

/// Counts the exchanges of a worker that are under way, so that it does not end before them.
struct UnderWay(Rc<Worker>);

impl UnderWay {
    fn begin(worker: &Rc<Worker>) -> Self {
        worker.exchanges.set(worker.exchanges.get() + 1);
        worker.cells.attempts.add(1);
        Self(Rc::clone(worker))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.exchanges.set(self.0.exchanges.get().saturating_sub(1));
        self.0.cells.attempts.one_less();
    }
}

/// The exchange itself, until what is answered is kept.
async fn run(case: Rc<Case>, holding: Holding, going: Box<Going>) -> Result<Answered, Rejection> {
    let _under_way = UnderWay::begin(&case.worker);
    let answered = carry(&case, holding, going).await;
    if let Err(rejection) = &answered {
        case.away.during(pin!(case.until_kept(rejection))).await;
    }
    answered
}

/// Sends it, reads the outcome, settles.
async fn carry(case: &Case, holding: Holding, going: Box<Going>) -> Result<Answered, Rejection> {
    let timeouts = &case.plan.settings.timeouts;
    let (alarm, mut begun_at) = (case.worker.alarms.lend(), case.worker.alarms.now());
    alarm.set(timeouts.response_head.min(timeouts.exchange));
    let dedicated = going.own.is_some() || going.authenticates;
    let streaming = going.streaming.clone();
    let sending = pin!(send(case, going, streaming.as_deref().unwrap_or(&alarm)));
    let (answered, waited) = case.away.during(sending).await;
    let (response, mut lease) = match answered {
        Ok(answered) => answered,
        Err(unanswered) => return Err(case.settle_unanswered(holding, unanswered).await),
    };
    case.site.cells.upstream.record(waited);
    if streaming.is_some() {
        begun_at = case.worker.alarms.now(); // how long a body takes is the client's affair
    }
    let left = timeouts.exchange.saturating_sub(case.worker.alarms.now().since(begun_at));
    alarm.set(timeouts.verdict.min(left));
    let mut begun = VecDeque::new();
    let (parts, mut incoming) = response.into_parts();
    let tunnel = match parts.status {
        StatusCode::SWITCHING_PROTOCOLS => Some(agreed_tunnel(&parts, &mut lease)),
        _ => None,
    };
    let (judgement, broken) = match tunnel {
        Some(None) => (case.rule.rule.outcome.read_nothing(NoAnswer::Cut), None),
        Some(Some(_)) | None => judge(case, &parts, (&mut incoming, &mut begun), &alarm).await,
    };
    if let Some(lockout) = case.settle(holding, judgement, Some(&parts)).await {
        return Err(Rejection::Locked(lockout));
    }
    if let Some(error) = broken {
        case.site.cells.fault(Fault::Body);
        return Err(Rejection::Upstream(UpstreamError::Broken(error)));
    }
    match tunnel {
        None => {}
        Some(None) => return Err(case.unanswered(UpstreamError::Unexpected)),
        Some(Some(end)) => {
            let response = Response::from_parts(parts, Content::Own(None));
            return Ok(Answered { response, tunnel: Some(end) });
        }
    }
    let home = if dedicated || authenticates_connection(&parts.headers, &WWW_AUTHENTICATE) {
        Home::Nobody
    } else {
        Home::Pool
    };
    let body = UpstreamBody::new(incoming, lease, home);
    let content = if begun.is_empty() {
        Content::Streamed(body)
    } else {
        Content::Begun { begun, rest: Some(body) }
    };
    Ok(Answered { response: Response::from_parts(parts, content), tunnel: None })
}

/// Why there is no answer, and whether the upstream can know of the attempt.
struct Unanswered {
    error: UpstreamError,
    sent: Sent,
}

/// Sends an attempt, never twice: on a connection that died before a byte was written the attempt
/// was not sent at all, and goes out on a new one.
async fn send(
    case: &Case,
    going: Box<Going>,
    alarm: &Alarm,
) -> Result<(Response<Incoming>, Lease), Unanswered> {
    let (servers, tie, after) = (&case.site.servers, going.tie, going.after);
    let unsent = |error| Unanswered { error, sent: Sent::Nothing };
    let wanted = match (after, going.authenticates) {
        (After::Tunnel, _) => Wanted::Tunnel,
        (_, true) => Wanted::Own,
        (_, false) => Wanted::Lively,
    };
    let mut lease = match going.own.filter(|_| after != After::Tunnel) {
        Some(own) => own,
        None => lease_in_time(servers, (wanted, tie), alarm).await.map_err(unsent)?,
    };
    lease.close_if(after);
    let (unanswered, request) = match answer_in_time(lease.send_in_turn(going.request), alarm).await
    {
        Ok(response) => return Ok((response, lease)),
        Err(failure) => failure,
    };
    let again = request.filter(|_| unanswered.sent == Sent::Nothing && lease.age() == Age::Reused);
    let Some(request) = again else { return Err(unanswered) };
    let mut lease = lease_in_time(servers, (Wanted::New, tie), alarm).await.map_err(unsent)?;
    lease.close_if(after);
    match answer_in_time(lease.send_in_turn(request), alarm).await {
        Ok(response) => Ok((response, lease)),
        Err((unanswered, _)) => Err(unanswered),
    }
}

/// A connection to any of `servers`, in the time that there is for the whole exchange.
async fn lease_in_time(
    servers: &Servers,
    (wanted, tie): (Wanted, Tie),
    alarm: &Alarm,
) -> Result<Lease, UpstreamError> {
    let leased = alarm.in_time(pin!(servers.lease(wanted, tie))).await;
    leased.unwrap_or(Err(UpstreamError::ConnectTimeout))
}

/// Waits for the answer's head in time; returns a request never sent.
async fn answer_in_time(
    sending: Sending<'_>,
    alarm: &Alarm,
) -> Result<Response<Incoming>, (Unanswered, Option<Request<RequestBody>>)> {
    match alarm.in_time(sending).await {
        Some(sent) => sent.map_err(|failure| {
            let SendFailure { error, sent, request, .. } = *failure;
            (Unanswered { error, sent }, request)
        }),
        // what waits for the upstream to read may still be written when nobody waits any more
        None => Err((Unanswered { error: UpstreamError::Timeout, sent: Sent::Something }, None)),
    }
}

/// Reads the outcome: from the head, or from as much of the body as that takes; and what broke the
/// body off meanwhile.
async fn judge(
    case: &Case,
    parts: &Parts,
    (incoming, begun): (&mut Incoming, &mut VecDeque<Frame<Bytes>>),
    alarm: &Alarm,
) -> (Judgement, Option<hyper::Error>) {
    let (rules, status, headers) = (&case.rule.rule.outcome, parts.status, &parts.headers);
    let head = Head { status, headers, asked: case.asked(headers), now: case.wall_for(headers) };
    let tell = |body: Option<&[u8]>, judgement| {
        let Some(trace) = &case.worker.trace else { return };
        trace.tell(|story| story.judged(rules, rules.weigh(head, body), judgement));
    };
    if let Some(judgement) = case.judge_basic(status).or_else(|| rules.read_head(head)) {
        tell(None, judgement);
        return (judgement, None);
    }
    let read = {
        let reading = pin!(read_beginning(incoming, begun));
        case.away.during(pin!(alarm.in_time(reading))).await.0
    };
    // when the time is over, what is here by then decides
    if let Some(Err(error)) = read {
        return (rules.read_nothing(NoAnswer::Cut), Some(error));
    }
    let body: Vec<&[u8]> = begun.iter().filter_map(Frame::data_ref).map(Bytes::as_ref).collect();
    let body = body.concat();
    let body = Coding::of(headers).map_or_else(
        |_| std::borrow::Cow::Borrowed(&[][..]),
        |coding| coding.decode_prefix(&body, MOST_OF_BODY),
    );
    let judgement = rules.read_body(head, &body);
    tell(Some(&body), judgement);
    (judgement, None)
}

/// Reads a body until its end or until enough of it is here.
async fn read_beginning(
    body: &mut Incoming,
    begun: &mut VecDeque<Frame<Bytes>>,
) -> Result<(), hyper::Error> {
    let mut read = 0;
    while read < MOST_OF_BODY && !body.is_end_stream() {
        let next = poll_fn(|context| next_frame(body, context));
        let Some(frame) = next.await else { break };
        let frame = frame?;
        read += frame.data_ref().map_or(0, Bytes::len);
        begun.push_back(frame);
    }
    Ok(())
}

/// The upstream's end of a tunnel, where one was asked for and the upstream agrees.
fn agreed_tunnel(parts: &Parts, lease: &mut Lease) -> Option<TunnelEnd> {
    let agrees = parts.headers.get(UPGRADE).is_some_and(is_websocket);
    lease.take_tunnel().filter(|_| agrees)
}

impl Case {
    /// A form's attempt that also carries wrong Basic credentials is no success, whatever the
    /// form's rule says.
    fn judge_basic(&self, status: StatusCode) -> Option<Judgement> {
        let refused = status == StatusCode::UNAUTHORIZED
            && self.basic.is_some()
            && matches!(self.writing, Writing::Fields(_));
        refused.then_some(Judgement::refused())
    }

    /// There is no answer: what was sent counts all the same, what was not does not.
    async fn settle_unanswered(&self, holding: Holding, unanswered: Unanswered) -> Rejection {
        let Unanswered { error, sent } = unanswered;
        if sent == Sent::Nothing {
            give_back(holding).await;
            return self.unanswered(error);
        }
        let why = match error {
            UpstreamError::ConnectTimeout | UpstreamError::Timeout => NoAnswer::Timeout,
            UpstreamError::Broken(_)
            | UpstreamError::Connect(_)
            | UpstreamError::LateField
            | UpstreamError::NoneHealthy
            | UpstreamError::Tls(_)
            | UpstreamError::Unexpected
            | UpstreamError::Unspeakable => NoAnswer::Cut,
        };
        let judgement = self.rule.rule.outcome.read_nothing(why);
        let lockout = self.settle(holding, judgement, None).await;
        let unanswered = self.unanswered(error);
        lockout.map_or(unanswered, Rejection::Locked)
    }

    /// There is no answer; whoever is to blame for that is counted.
    fn unanswered(&self, error: UpstreamError) -> Rejection {
        let rejection = Rejection::unanswered(error);
        self.site.blame(&rejection);
        rejection
    }
}

/// The attempt was never sent: it is as if it had not been.
async fn give_back(holding: Holding) {
    match holding {
        Holding::Permit(permit) => {
            drop(permit.settle(crate::store::ledger::Settlement::GivenBack).await);
        }
        Holding::Accepted | Holding::Exempt | Holding::Monitored | Holding::Uncounted => {}
    }
}

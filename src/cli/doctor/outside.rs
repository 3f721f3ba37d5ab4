//! What is reached over the network: Redis, the server of mails, the service itself.

use std::time::Duration;

use ureq::Agent;

use super::Finding;
use crate::core::clock::Clock;
use crate::core::mail_address::MailAddress;
use crate::core::settings::Settings;
use crate::core::settings::public_url::PublicUrl;
use crate::notify::{Failure, Language, Message, Notifier, Origin};

/// How long anybody may take to answer.
const WAIT: Duration = Duration::from_secs(5);

/// Whether Redis answers.
pub async fn redis(settings: &Settings) -> Option<Finding> {
    const CHECK: &str = "redis";
    let url = settings.redis_url()?;
    let asked = async {
        let client = url.client()?;
        let asking = async {
            let mut connection = client.get_multiplexed_async_connection().await?;
            redis::cmd("PING")
                .query_async::<String>(&mut connection)
                .await
        };
        (tokio::time::timeout(WAIT, asking).await)
            .map_err(|_| "no answer in time".to_owned())?
            .map_err(|error| error.to_string())
    };
    Some(match asked.await {
        Ok(_) => Finding::ok(CHECK, format!("{} answers", url.redacted())),
        Err(why) => Finding::error(
            CHECK,
            format!("{}: {why}", url.redacted()),
            "see that it runs and can be reached from here, and that REDIS_URL has its address and \
             password; meanwhile each process goes by itself",
        ),
    })
}

/// Where mails go; sends one `to` somebody.
pub async fn mail(settings: &Settings, to: Option<&str>) -> Vec<Finding> {
    const CHECK: &str = "mail";
    let mut findings = Vec::new();
    match settings.smtp_url() {
        Some(url) => findings.push(Finding::ok(
            CHECK,
            format!("mails go to {}", url.host_name()),
        )),
        None => findings.push(Finding::warning(
            CHECK,
            "mails are files in the directory outbox of the data directory",
            "set INKPOT_SMTP_URL and INKPOT_MAIL_FROM, so that people get them",
        )),
    }
    let Some(to) = to else {
        return findings;
    };
    findings.push(match send(settings, to).await {
        Ok(()) => Finding::ok(
            CHECK,
            format!("the server has taken one for {to}: see that it came"),
        ),
        Err(why) => Finding::error(
            CHECK,
            format!("none could be sent to {to}: {why}"),
            "see what the server says, and that INKPOT_SMTP_URL and INKPOT_MAIL_FROM are right",
        ),
    });
    findings
}

async fn send(settings: &Settings, to: &str) -> Result<(), String> {
    if MailAddress::parse(to).is_none() {
        return Err("that is not an e-mail address".to_owned());
    }
    let public_url =
        (settings.public_url.clone()).unwrap_or_else(|| PublicUrl::of_address(settings.listen));
    let notifier = Notifier::new(settings, public_url)?;
    let now = Clock::system().now();
    let origin = Origin {
        // None has this number.
        job_id: 0,
        created: now,
    };
    let message = Message::Test { at: now };
    let sent = notifier.mail(to, &message, Language::ALL[0], &origin).await;
    sent.map_err(|failure| match failure {
        Failure::Transient(why) | Failure::Permanent(why) => why,
    })
}

/// Whether the service is found where its links lead.
pub fn public_url(settings: &Settings) -> Finding {
    const CHECK: &str = "public URL";
    let Some(url) = &settings.public_url else {
        if settings.listen.ip().is_loopback() && settings.smtp_url().is_none() {
            return Finding::ok(CHECK, "it is for this machine alone");
        }
        return Finding::warning(
            CHECK,
            format!(
                "links in mails and feeds lead to http://{}",
                settings.listen
            ),
            "set INKPOT_PUBLIC_URL to where the world reaches the server",
        );
    };
    let live = url.join("/livez");
    match status_of(&live, WAIT) {
        Ok(200) if !url.is_https() && !url.origin().contains("://localhost") => Finding::warning(
            CHECK,
            format!("{live} answers, without TLS"),
            "passwords and tokens do not belong on an open network: put a proxy with TLS in front",
        ),
        Ok(200) => Finding::ok(CHECK, format!("{live} answers")),
        Ok(status) => Finding::warning(
            CHECK,
            format!("{live} answers {status}"),
            "see that the proxy passes it on to a server that runs",
        ),
        Err(why) => Finding::warning(
            CHECK,
            format!("{live} cannot be reached from here: {why}"),
            "see that a server runs and that the name leads to it; from inside of a network it may \
             not be reachable though it is from outside",
        ),
    }
}

/// The status that a URL answers with. The error is one line.
pub fn status_of(url: &str, wait: Duration) -> Result<u16, String> {
    let agent: Agent = Agent::config_builder()
        .timeout_global(Some(wait))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .build()
        .into();
    let answer = agent.get(url).call().map_err(|error| error.to_string())?;
    Ok(answer.status().as_u16())
}

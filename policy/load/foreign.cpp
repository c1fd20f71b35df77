#include "policy/load/foreign.h"

#include <algorithm>

#include "policy/mail/text.h"

namespace replygate {
namespace {

struct Row {
  std::string_view words;  // parted by blanks, in small letters
  std::string_view ours;
};

constexpr Row kFacts[] = {
    {"client_address client_addr client addr ip ip_address source_ip src_ip remote_ip remote_addr sender_host_address "
     "peer_addr host_address",
     "client_ip"},
    {"network subnet cidr client_network", "client_net"},
    {"client_hostname reverse_client_name rdns ptr hostname host client_host sender_host_name client_ptr "
     "client_resolve",
     "client_name"},
    {"port client_source_port sender_host_port", "client_port"},
    {"daemon_name interface server_port service", "listener"},
    {"helo_name ehlo helo_host heloname sender_helo_name", "helo"},
    {"encryption_protocol encrypted starttls ssl is_tls", "tls"},
    {"tls_protocol ssl_version", "tls_version"},
    {"encryption_cipher cipher tls_in_cipher ssl_cipher", "tls_cipher"},
    {"encryption_keysize cipher_bits tls_in_bits keysize", "tls_bits"},
    {"ccert_subject cert_subject tls_in_peerdn peerdn tls_peerdn", "tls_subject"},
    {"ccert_issuer cert_issuer", "tls_issuer"},
    {"from mail_from mailfrom mail_addr envelope_from sender_address return_path envfrom from_address smtp_from",
     "sender"},
    {"sender_localpart from_user sender_local_part sender_address_local_part", "sender_local"},
    {"from_domain sender_address_domain domain mail_domain", "sender_domain"},
    {"bounce is_bounce null empty_sender is_null_sender", "null_sender"},
    {"auth is_auth is_authenticated sasl smtp_auth logged_in authed", "authenticated"},
    {"sasl_username username login auth_authen authenticated_id sasl_user auth_user sasl_login account auth_id "
     "authenticated_user sasl_sender",
     "user"},
    {"sasl_method auth_type sender_host_authenticated mechanism sasl_mechanism", "auth_mechanism"},
    {"message_size msg_size msize declared size_declared message_size_limit", "declared_size"},
    {"message_count msg_count mails mail_count messages_count", "messages"},
    {"sender_login sender_mismatch login_mismatch reject_sender_login_mismatch", "sender_login_mismatch"},
    {"errors rejects reject_count", "refusals"},
    {"to rcpt rcpt_to rcptto rcpt_addr envelope_to recipient_address rcpt_address envrcpt", "recipient"},
    {"recipient_localpart to_user recipient_local_part local_part rcpt_user", "recipient_local"},
    {"to_domain rcpt_domain recipient_address_domain", "recipient_domain"},
    {"rcpt_count recipient_count rcpts nrcpts nrcpt number_of_recipients recipients_count recipientcount",
     "recipients"},
    {"rcpt_mailer mailer transport router", "recipient_route"},
    {"outbound outgoing remote is_external relaying", "external"},
    {"quota quota_used mailbox_usage mailbox_quota usage mailbox_size disk_usage", "mailbox_used"},
    {"subject", "header.Subject"},
    {"from_header header_from mime_from", "header.From"},
    {"message_id", "header.Message-ID"},
    {"queueid qid queue message_exim_id", "queue_id"},
    {"hour clock time_of_day tod", "time"},
    {"day dow day_of_week days wday", "weekday"},
    {"age duration elapsed connection_age", "session_age"},
    {"body_hash hash checksum fingerprint message_digest", "digest"},
};

struct ForeignKey {
  std::string_view section;
  std::string_view words;
  std::string_view help;
};

constexpr ForeignKey kForeignKeys[] = {
    {"rule", "action then do result verdict response answer return",
     "write reply = 550, accept = true, hold = \"reason\" or discard = true"},
    {"rule", "if condition conditions match matches where require requires filter", "write when = { FACT = … }"},
    {"rule", "except exception exceptions exempt whitelist allowlist skip exclude not", "write unless = { FACT = … }"},
    {"rule", "rate ratelimit rate_limit quota max maximum throttle threshold", "write limit = \"100 messages / 1h\""},
    {"rule", "key by group_by track", "write per = \"sender\""},
    {"rule", "selector", "write per = \"user\""},
    {"rule", "id rule_id ruleid symbol label title", "write name = \"…\""},
    {"rule", "findtime bantime maxretry find_time ban_time max_retry",
     "write per = \"client_ip\" and limit = \"5 refusals / 10m\""},
    {"rule", "ignoreip ignore_ip ignoreself whitelisted_ip mynetworks",
     "write unless = { client_ip = \"$trusted_networks\" }"},
    {"rule", "whitelisted_rcpts whitelisted_rcpt", "write unless = { recipient = \"postmaster@\" }"},
    {"rule", "bucket buckets rates leak leaky", "write limit = \"100 messages / 1h\", and burst = 20 for a bucket"},
    {"rule", "hosts hostlist ips clients", "write when = { client_ip = \"192.0.2.0/24\" }"},
    {"rule", "domains", "write when = { recipient_domain = \"$local_domains\" }"},
    {"rule", "senders", "write when = { sender = \"a@example.org\" }"},
    {"rule", "users logins", "write when = { user = \"alice@example.org\" }"},
    {"rule", "acl acl_check_rcpt acl_smtp_rcpt", "remove it: each rule is judged as early as its facts are known"},
    {"rule", "verify callout require_verify",
     "the MTA verifies recipients: when = { mta_refused = true } sees what it says"},
    {"rule", "control", "write hold = \"reason\" for freeze, discard = true for fakeaccept"},
    {"rule", "delay sleep tarpit pause",
     "nothing is delayed here: write reply = 450, or greylist = { delay = \"5m\" }"},
    {"rule", "log log_message logwrite log_reject_target", "remove it: each decision is logged with the rule's name"},
    {"rule", "on_error", "write on_unknown = \"tempfail\" or \"skip\""},
    {"rule", "inherit last next goto jump", "rules are tried in the order of the file; accept = true ends them"},
    {"rule", "message text msg code enhanced status", "write reply = { code = 550, text = \"…\" }"},
    {"rule", "stage phase event protocol_state", "write at = \"rcpt\""},
    {"rule", "enabled active disabled", "remove the rule, or write mode = \"observe\""},
    {"rule", "dry_run dryrun test_mode simulate observe soft", "write mode = \"observe\""},
    {"rule", "description comment note", "write a comment: # …"},
    {"rule", "period interval window time_window per_hour per_day",
     "the period belongs to the limit: limit = \"100 messages / 1h\""},
    {"rule", "reject defer tempfail bounce deny block drop",
     "write reply = 550 to refuse for good, reply = 450 to refuse for now"},
    {"rule", "permit allow pass ok dunno", "write accept = true"},
    {"rule", "quarantine", "write hold = \"reason\""},
    {"rule", "priority order weight score", "rules are tried in the order of the file"},
    {"rule", "warn warning warn_percent notify", "write warn_at = \"80%\""},
    {"rule", "add_header header_add prepend addheader", "write header = { \"X-Name\" = \"text\" }"},
    {"rule", "overrides custom per_user limits_by_id",
     "write override = { \"user@example.org\" = \"1000 messages / 1h\" }"},
    {"milter", "socket port bind address", "write listen = \"inet:8891@127.0.0.1\""},
    {"milter", "workers processes children", "write threads = 2"},
    {"milter", "timeout timeouts", "write idle_timeout = \"2h\" or packet_timeout = \"20s\""},
    {"milter", "user group chroot pidfile pid_file daemonize umask background",
     "systemd does that: systemctl edit replygate"},
    {"policy_service", "port socket bind address", "write listen = \"inet:8892@127.0.0.1\""},
    {"metrics", "port socket bind address", "write listen = \"inet:9790@127.0.0.1\""},
    {"control", "port socket bind address path", "write listen = \"unix:/run/replygate/control.sock\""},
    {"history", "retention keep_days max_age days expire", "write keep = \"30d\""},
    {"notify", "email mail mailto recipients recipient address admin", "write to = \"postmaster@example.org\""},
    {"notify", "events when notify_on", "write on = [\"warning\", \"first-refusal\"]"},
    {"notify", "url slack hook", "write webhook = \"https://hooks.example.org/mail\""},
    {"mailbox", "dovecot service socket listen", "write quota_status = \"inet:12340@127.0.0.1\""},
    {"greylist", "whitelist whitelisted exempt ignore", "write unless = { client_ip = \"$name\" } in the rule"},
    {"keys", "tag delimiter recipient_delimiter separator", "write subaddress = \"+\""},
    {"keys", "tz zone", "write timezone = \"Europe/Berlin\""},
    {"milter", "dry_run dryrun test_mode observe", "write mode = \"observe\""},
    {"milter", "default_action on_failure", "write on_error = \"tempfail\" or \"accept\""},
    {"site", "mydestination domains virtual_mailbox_domains local_domain mydomain hosted_domains",
     "write local_domains = [\"example.org\"]"},
    {"site", "mynetworks networks trusted trusted_ips local_networks trusted_network",
     "write trusted_networks = [\"127.0.0.0/8\"]"},
    {"site", "relay_to relays backup_mx", "write relay_domains = [\"example.org\"]"},
    {"store", "type engine driver kind", "write backend = \"sqlite\", \"memory\" or \"redis\""},
    {"store", "server host host_port address redis url uri", "write servers = [\"inet:6379@127.0.0.1\"]"},
    {"store", "file database db filename", "write path = \"/var/lib/replygate/state.db\""},
    {"store", "password", "write password_file = \"/etc/replygate/redis.password\""},
    {"log", "file path destination output target", "write decisions = \"file:/var/log/replygate/decisions.json\""},
    {"greylist", "time wait timeout greylist_time", "write delay = \"5m\""},
    {"greylist", "expire expiry ttl max_age lifetime autowhite", "write remember = \"36d\""},
    {"reply", "message msg reason", "write text = \"…\""},
    {"reply", "status dsn enhanced_code xcode", "write enhanced = \"5.7.1\""},
    {"reply", "reply smtp_code reply_code", "write code = 550"},
    {"top", "rules policies", "did you mean [[rule]]?"},
    {"top", "tests", "did you mean [[test]]?"},
    {"included", "rules policies", "did you mean [[rule]]?"},
    {"included", "tests", "did you mean [[test]]?"},
    {"top", "list", "write [lists]"},
    {"top", "reply", "write [replies]"},
    {"top", "smtp server listen daemon global general main", "write [milter], with listen = \"inet:8891@127.0.0.1\""},
    {"top", "redis database db storage", "write [store]"},
    {"top", "logging", "write [log]"},
    {"top", "policy_version schema", "write version = 1"},
    {"top", "whitelist blacklist blocklist allowlist", "write a list under [lists], and a rule that names it"},
    {"top", "postfix policyd delegation policy", "write [policy_service], with listen = \"inet:10040@127.0.0.1\""},
};

constexpr Row kReplies[] = {
    {"reject deny refuse block bounce", "write reply = 550"},
    {"defer defer_if_permit defer_if_reject tempfail temporary soft greylist", "write reply = 450"},
    {"drop disconnect", "write reply = 521, or 421 to refuse for now"},
    {"ok permit accept allow pass dunno none continue", "write accept = true instead of reply"},
    {"discard silently", "write discard = true instead of reply"},
    {"hold quarantine freeze", "write hold = \"reason\" instead of reply"},
    {"spam virus malware content policy", "write { class = \"refused-by-policy\", text = \"…\" }"},
    {"blacklist blacklisted blocklist rbl dnsbl", "write \"node-not-allowed\""},
    {"set score jump", "rules are tried in the order of the file, and know no scores; write what the rule replies"},
    {"rate rcpt size", "a limit has keys of its own: per = \"sender\", limit = \"100 messages / 1h\""},
    {"warn info log", "write mode = \"observe\", and the reply that the rule would give"},
};

struct ForeignChoice {
  std::string_view key;
  std::string_view words;
  std::string_view ours;
};

constexpr ForeignChoice kChoices[] = {
    {"mode", "test dry-run dryrun dry_run simulate log-only log monitor permissive warn soft off disabled", "observe"},
    {"mode", "on enabled active strict hard block", "enforce"},
    {"at", "connection client accept smtpd_client_restrictions acl_smtp_connect", "connect"},
    {"at", "ehlo greeting smtpd_helo_restrictions acl_smtp_helo", "helo"},
    {"at", "from mailfrom mail_from envfrom sender smtpd_sender_restrictions acl_smtp_mail", "mail"},
    {"at", "to rcptto rcpt_to envrcpt recipient smtpd_recipient_restrictions smtpd_relay_restrictions acl_smtp_rcpt",
     "rcpt"},
    {"at", "smtpd_data_restrictions acl_smtp_predata", "data"},
    {"at", "headers eoh", "header"},
    {"at",
     "eom eod end dot body content end-of-message end_of_message end_of_data end-of-data "
     "smtpd_end_of_data_restrictions acl_smtp_data",
     "message"},
    {"on", "refusal refused reject rejected quota limit limit-reached", "first-refusal"},
    {"on", "hold on-hold quarantine quarantined", "held"},
    {"on", "warn warn_at near-limit", "warning"},
    {"on_unknown", "accept pass ignore ok dunno permit", "skip"},
    {"on_unknown", "reject defer fail refuse", "tempfail"},
    {"on_error", "pass ok dunno permit ignore skip continue", "accept"},
    {"on_error", "defer fail temporary soft", "tempfail"},
    {"on_store_error", "pass ok dunno permit ignore skip", "accept"},
    {"on_store_error", "defer fail reject", "tempfail"},
    {"count", "accept ok delivered success", "accepted"},
    {"count", "all tries every try attempt", "attempts"},
    {"backend", "file sqlite3 disk db", "sqlite"},
    {"backend", "valkey keydb", "redis"},
    {"backend", "mem ram none", "memory"},
    {"engine", "native epoll boost", "asio"},
    {"engine", "sendmail milter", "libmilter"},
    {"relay", "postfix sendmail smtpd", "mta"},
};

template <std::size_t N>
std::string_view ours(const Row (&table)[N], std::string_view word) {
  const std::string small = to_lower(word);
  for (const Row& row : table) {
    if (is_one_of(small, row.words)) return row.ours;
  }
  return "";
}

// What no fact has, and where it is to be had.
constexpr Row kElsewhere[] = {
    {"country geoip geo asn as", "networks are written as a list: client_ip = \"$name\""},
    {"dnsbl rbl rblcount rhsbl dnsbl_count dnswl", "the MTA asks DNS blocklists (Postfix: reject_rbl_client)"},
    {"spf dkim dmarc arc spf_result dkim_result",
     "a filter before replygate checks it; name the field that it adds: "
     "header.Authentication-Results = \"*spf=fail*\""},
    {"spam spam_score spam_level spamscore score virus is_spam",
     "a filter before replygate checks it; name the field that it adds: header.X-Spam-Flag = \"yes\""},
    {"or any any_of", "an array of values means any of them; for several facts write several rules"},
    {"and all all_of", "all conditions of when must hold: write them side by side"},
    {"not none none_of unless except", "write unless = { … } beside when"},
    {"whitelist whitelisted blacklist blacklisted list", "compare a fact with a list: client_ip = \"$name\""},
    {"attachment attachments filename mime_type body", "replygate looks at no content; a content filter does"},
    {"reputation", "count what a client does: limit = \"10 refusals / 1h\", per = \"client_ip\""},
};

constexpr Row kBooleans[] = {{"yes on y true 1 enabled", "true"}, {"no off n false 0 disabled", "false"}};

}  // namespace

std::string_view fact_called(std::string_view name) {
  std::string plain(name);
  std::ranges::replace(plain, '-', '_');
  for (const std::string_view before : {"{", "$", "$$", "smtpd_", "env_"}) {
    if (plain.starts_with(before)) plain.erase(0, before.size());
  }
  if (plain.ends_with('}')) plain.pop_back();
  return ours(kFacts, plain);
}

std::string_view elsewhere(std::string_view name) {
  std::string plain(name);
  std::ranges::replace(plain, '-', '_');
  return ours(kElsewhere, plain);
}

std::string_view help_for_key(std::string_view section, std::string_view key) {
  std::string small = to_lower(key);
  std::ranges::replace(small, '-', '_');
  for (const ForeignKey& row : kForeignKeys) {
    if (row.section == section && is_one_of(small, row.words)) return row.help;
  }
  return "";
}

std::string_view help_for_reply(std::string_view word) { return ours(kReplies, word); }
std::string_view choice_called(std::string_view key, std::string_view word) {
  const std::string small = to_lower(word);
  for (const ForeignChoice& row : kChoices) {
    if (row.key == key && is_one_of(small, row.words)) return row.ours;
  }
  return "";
}

std::string_view boolean_called(std::string_view word) { return ours(kBooleans, word); }

}  // namespace replygate

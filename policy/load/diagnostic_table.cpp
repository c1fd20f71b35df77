#include <algorithm>
#include <array>

#include "policy/load/diagnostic.h"

namespace replygate {
namespace {

// clang-format off: a table, one row an entry
constexpr std::array kTable = {
    RgInfo{Rg::unreadable_file, "the policy cannot be read",
           "The file is missing, is not a regular file, or may not be read by this user."},
    RgInfo{Rg::syntax, "not TOML", "The file breaks the syntax of TOML 1.0; nothing behind that place was read."},
    RgInfo{Rg::unknown_key, "unknown key", "No section of a policy has this key; it would have had no effect."},
    RgInfo{Rg::wrong_type, "wrong type", "The key takes another type of value."},
    RgInfo{Rg::missing_key, "missing key", "The table cannot do without this key."},
    RgInfo{Rg::version, "unknown version", "The language has version 1; `version = 1` must say so."},
    RgInfo{Rg::not_a_choice, "not one of the choices", "The key takes one of a few words."},
    RgInfo{Rg::defined_twice, "defined twice", "Names are unique, so that logs and counters mean one thing."},
    RgInfo{
        Rg::include, "included file not usable",
        "include names files that add lists, replies, rules, tests and [notify]; everything else stands in the policy itself."},
    RgInfo{Rg::quantity, "quantity not understood", "Durations read \"1h30m\", sizes \"25 MiB\", numbers \"20k\"."},
    RgInfo{Rg::unit_missing, "unit missing", "A bare number says nothing where a unit matters."},
    RgInfo{Rg::network, "network not understood", "The value must be an address, or a network as address/prefix length."},
    RgInfo{Rg::host_bits, "host bits in a network",
           "The address has bits set behind the prefix length; either the address or the length is wrong."},
    RgInfo{Rg::socket_address, "socket address not understood",
           "Sockets are written unix:/path, inet:port@host, inet6:port@[host] or fd:number."},
    RgInfo{Rg::domain, "domain not understood", "The name is not a domain."},
    RgInfo{Rg::out_of_range, "number out of range", "The number is too small or too big for this key."},
    RgInfo{Rg::timezone, "time zone not known", "Time zones are named as in the IANA database, \"Europe/Berlin\"."},
    RgInfo{Rg::not_a_refusal, "no refusal", "A rule refuses with a 4xx or 5xx code."},
    RgInfo{Rg::enhanced_syntax, "enhanced code not understood",
           "Enhanced status codes read class.subject.detail (RFC 3463), class 4 or 5."},
    RgInfo{Rg::contradiction, "code and enhanced code contradict each other",
           "The first digit of both says whether the sender may retry; they must agree. Postfix treats a filter that "
           "contradicts itself as broken."},
    RgInfo{Rg::foreign_code, "code foreign to the command",
           "Neither the catalogue's lists, RFC 5321 nor a classification know this code as an answer to the command at "
           "which the rule is judged. Clients will cope, since only the first digit matters to them; people may be puzzled."},
    RgInfo{Rg::reply_text, "reply text not usable", "A text is printable ASCII and names known facts in braces."},
    RgInfo{Rg::reply_too_long, "reply line too long",
           "A reply line has at most 512 octets with code and line end (RFC 5321), also at the longest "
           "substitution."},
    RgInfo{Rg::unknown_reply, "unknown reply", "A reply is a code, a classification or a name of [replies]."},
    RgInfo{Rg::reply_lines, "too many reply lines", "A reply has 16 lines at most."},
    RgInfo{Rg::unknown_fact, "unknown fact", "Conditions and keys name facts; POLICY.md lists them."},
    RgInfo{Rg::pattern_type, "pattern does not fit the fact", "Each fact has its own way to be compared."},
    RgInfo{Rg::outcome, "a rule says one thing",
           "A rule has one of reply, accept, hold and discard; one that only adds header fields has none."},
    RgInfo{Rg::too_early, "judged too early", "A rule cannot be judged before its facts are known."},
    RgInfo{Rg::regex, "regular expression not understood",
           "Regular expressions stand between two slashes and are in RE2's syntax; without them a text stands for itself."},
    RgInfo{Rg::recipient_too_late, "recipient facts behind RCPT",
           "After RCPT there is one reply for all recipients, so that nothing can be said of one."},
    RgInfo{Rg::never_holds, "rule can never hold", "No transaction fulfils all conditions of the rule at once."},
    RgInfo{Rg::cannot_match, "pattern can never match", "No value of the fact can look like this."},
    RgInfo{Rg::unreachable, "rule is never reached",
           "Wherever the rule holds, an earlier rule has answered; it can be removed, or must stand before that one."},
    RgInfo{Rg::header_field, "header field not usable",
           "The name of a field is printable ASCII without colon and blank; its value is one line."},
    RgInfo{
        Rg::header_never, "header never added",
        "Header fields are added to what is let through; a rule that refuses whenever it holds lets nothing through."},
    RgInfo{Rg::override_key, "override key that no key is like",
           "Keys of override are values of the facts of `per`, several joined by '|', or patterns for them. A key with "
           "another number of parts, or a part that its fact cannot be, would never be found."},
    RgInfo{Rg::cannot_shield, "acceptance comes too late",
           "Rules are judged stage by stage, so a rule that accepts at a later stage cannot keep one from refusing that is "
           "judged earlier, though it stands before it. `at` lets the other rule be judged as late."},
    RgInfo{Rg::shared_key, "many clients under one key",
           "All clients without a verified name have the client_name \"unknown\", and would share a counter."},
    RgInfo{Rg::few_recipients, "few recipients in a message",
           "RFC 5321 (4.5.3.1.8) asks servers to take at least 100 recipients in a message; a sender that meets a lower "
           "bound sends the rest later. This is a note: it changes no exit status."},
    RgInfo{Rg::external_untold, "nothing says what is external",
           "A recipient is external if its domain is in neither local_domains nor relay_domains. Without both lists the "
           "MTA's mailer decides, as far as it can."},
    RgInfo{Rg::limit_syntax, "limit not understood", "Limits read \"500 recipients / 1h\"."},
    RgInfo{
        Rg::unknown_unit, "unknown unit",
        "Limits count connections, messages, recipients, bytes, distinct_recipients, refusals, unknown_recipients, and "
        "what became of mail: hard_bounces, blocked, deferrals, deliveries, complaints."},
    RgInfo{Rg::unit_stage, "unit counted elsewhere",
           "The unit is counted at a stage at which some fact of the rule is not known, or at another than `at` says."},
    RgInfo{Rg::limit_missing, "key without limit",
           "per, count, override, burst and warn_at mean something only beside a limit; greylist, escalate, share and "
           "override need per."},
    RgInfo{Rg::limit_twice, "two limits of one kind",
           "Of two limits with equal unit and period only the smaller acts."},
    RgInfo{Rg::burst, "burst not usable",
           "A burst is the depth of a token bucket that the limit of the rule fills again."},
    RgInfo{Rg::greylist, "greylisting not usable",
           "A greylisting rule has per, a reply and times that leave room for a retry."},
    RgInfo{Rg::escalation, "step of escalation not understood",
           "Steps read { after = \"10 refusals / 1h\", reply = 550 }."},
    RgInfo{Rg::step_unreached, "step of escalation never reached",
           "A step behind it is reached as early, and the last step that was reached gives the reply."},
    RgInfo{Rg::limit_idle, "limit or exemption without effect",
           "A message is one message and a session one connection, so that nothing is beyond such a limit; and what the "
           "rule does not count nobody need be exempt from."},
    RgInfo{Rg::limit_stays, "stricter limit stays beside an override",
           "An override takes the place of limits in its unit over the same kind of period (a time, the calendar, message, "
           "session). The others of the rule stay in force for its key."},
    RgInfo{Rg::share_limit, "limit that is a share not usable",
           "\"10% hard_bounces / 1h\" is a share of the recipients that the key has had in the same time. It needs at_least, "
           "since one of three is no third of anything; and only what became of recipients has a share of them."},
    RgInfo{Rg::outcomes_unknown, "nothing tells what became of mail",
           "hard_bounces, blocked, deferrals, deliveries and complaints are read from the MTA's log, which [outcomes] names. "
           "Without it nothing is counted, such a limit never refuses, no recipient is dead, and [notify] has nothing to tell "
           "of bounces."},
    RgInfo{Rg::key_idle, "key without effect on outcomes",
           "warn_at is for limits that mail itself fills as it comes. What became of it is counted later, and nobody is warned. "
           "outcomes_of says which outcomes count, so the rule must count some."},
    RgInfo{Rg::unknown_list, "unknown list", "The name after $ must be in [lists], or be a list of [site]."},
    RgInfo{Rg::list_unreadable, "list cannot be read",
           "The file of a list is missing, may not be read, or is not UTF-8."},
    RgInfo{Rg::list_source, "no list", "A list is an array, a file, a query to SQLite, or a map of Postfix."},
    RgInfo{Rg::mailbox_source, "mailbox source not usable",
           "[mailbox] has one of file, sqlite with query, and quota_status; mailbox_used needs it."},
    RgInfo{Rg::empty_list, "list without entries", "A condition on an empty list, or on an empty array, never holds."},
    RgInfo{Rg::live_source, "source that is asked not usable",
           "A socketmap names a server and a map; mysql, pgsql and ldap name a file as Postfix's tables have it. What "
           "replygate cannot do as Postfix does it is an error: the answer would be another one."},
    RgInfo{Rg::live_list, "a list that is asked stands where one must be read",
           "A list in socketmap, mysql, pgsql or ldap is asked for one value at a time, while mail comes. Lists of [site], "
           "of numbers, of header fields, of pools and in the keys of override must be known as a whole."},
    RgInfo{Rg::engine, "the engine cannot do this",
           "Some keys of [milter] are for the engine \"asio\" alone; with libmilter they would have no effect."},
    RgInfo{Rg::open_relay, "the policy lets strangers relay",
           "Some client outside of trusted_networks, without login, reaches a recipient that is neither local nor "
           "relayed. "
           "Where the MTA itself denies relaying, [site] relay = \"mta\" says so."},
    RgInfo{Rg::relay_undecided, "relaying not decided",
           "The proof found no way through the rules, and could not show that there is none."},
    RgInfo{Rg::test_failed, "test failed", "The policy does not answer as its own test expects."},
    RgInfo{Rg::test_wrong, "test not understood", "A test says who sends what to whom, and what is expected."},
    RgInfo{Rg::store, "store settings that do not fit together",
           "A key of [store] that the chosen backend does not have, or a value that it cannot use."},
    RgInfo{Rg::service, "service settings that cannot work",
           "A key of [control], [metrics], [history], [outcomes] or [notify] has a value that the daemon cannot use, or "
           "[outcomes] has no folder for its file on this host."},
};
// clang-format on

}  // namespace

std::span<const RgInfo> rg_table() { return kTable; }

const RgInfo* find_rg(int number) {
  const auto it = std::ranges::find(kTable, number, [](const RgInfo& row) { return static_cast<int>(row.code); });
  return it == kTable.end() ? nullptr : &*it;
}

}  // namespace replygate

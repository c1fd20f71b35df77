#include <fmt/format.h>
#include <sqlite3.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <functional>
#include <string>
#include <vector>

#include "milter/bounce/status_files.h"
#include "milter/cli/commands.h"
#include "milter/cli/help_format.h"
#include "milter/exit_status.h"
#include "milter/log/say.h"
#include "milter/past_commands.h"
#include "milter/standard_streams.h"
#include "policy/mail/text.h"

namespace {

using namespace replygate;

void add_run(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand("run", "run the daemon in the foreground");
  auto options = std::make_shared<RunOptions>();
  options->file = kPolicyFile;
  command->add_option("-c,--config", options->file, "the policy")->capture_default_str();
  command->add_flag("--as-root", options->as_root, "do not refuse to run as root, for tests in a container");
  command->footer("Example:\n  replygate run -c /etc/replygate/replygate.toml");
  command->callback([options, &action] { action = [options] { return run_command(*options); }; });
}

void add_check(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand("check", "look for mistakes in a policy");
  auto options = std::make_shared<CheckOptions>();
  command->add_option("file", options->file, "the policy")->capture_default_str();
  command->add_flag("--show", options->show, "print the compiled rules with every default");
  command->add_flag("--strict", options->strict, "take warnings for errors");
  command->add_flag("--json", options->json, "print the diagnostics as JSON");
  command->footer("Examples:\n  replygate check replygate.toml\n  replygate check --show replygate.toml");
  command->callback([options, &action] { action = [options] { return check_command(*options); }; });
}

void add_test(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand("test", "run the tests of policies");
  auto options = std::make_shared<TestOptions>();
  command->add_option("files", options->files, "policies")->capture_default_str();
  command->add_option("--junit", options->junit, "write a report in JUnit's XML to this file");
  command->add_flag("--json", options->json, "print the results as JSON");
  command->footer("Examples:\n  replygate test replygate.toml\n  replygate test --junit report.xml conf/*.toml");
  command->callback([options, &action] { action = [options] { return test_command(*options); }; });
}

void add_try(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand("try", "play a transaction under a policy: the answer, then why");
  auto o = std::make_shared<TryOptions>();
  command->add_option("file", o->file, "the policy")->required();
  command->add_option("--client", o->client, "address of the client (192.0.2.1)");
  command->add_option("--client-name", o->client_name, "its verified name (unknown)");
  command->add_option("--listener", o->listener, "the MTA's name of the listener (smtp)");
  command->add_option("--helo", o->helo, "the greeting (client.example)");
  command->add_option("--user", o->user, "login");
  command->add_option("--mechanism", o->mechanism, "SASL mechanism of the login (PLAIN)");
  command->add_option("--from", o->from, "envelope sender; <> if omitted");
  command->add_option("--to", o->to, "recipients, also as ranges: 'r{1..101}@example.org'")->allow_extra_args(false);
  command->add_option("--tls", o->tls, "TLS version, e.g. TLSv1.3");
  command->add_option("--size", o->size, "size of the message, e.g. '5 MB'");
  command
      ->add_option(
          "--lookup", o->lookups,
          "what a list, map or other source that is asked knows: 'NAME KEY VALUE'; of 'NAME' alone nothing is told")
      ->allow_extra_args(false);
  command->add_flag("--ask", o->ask, "ask such sources, for what --lookup does not say");
  command->add_option("--mailbox-used", o->mailbox_used, "how full the mailboxes of the recipients are, e.g. 95%");
  command->add_option("--route", o->route, "the MTA's mailer for the recipients, e.g. smtp");
  command->add_option("--header", o->headers, "a header field, 'Subject: hello'")->allow_extra_args(false);
  command->add_option("--body", o->body, "a file with the body of the message");
  command->add_option("--session", o->session, "a file with an SMTP dialogue, instead of the options above");
  command->add_option("--at", o->at, "when, RFC 3339, e.g. 2026-11-22T09:00:00Z; now if omitted");
  command->add_option("--repeat", o->repeat, "number of transactions; with --outcome two if omitted")
      ->check(CLI::Range(1, 1000000));
  command->add_option("--every", o->every, "time between them, e.g. 10s");
  command
      ->add_option("--outcome", o->outcome,
                   "what becomes of the recipients, before the next transaction: 'hard_bounces = 8, deliveries = 52'")
      ->excludes("--session");
  command->add_option("--state", o->state, "empty, or a file with counters and dead addresses")->capture_default_str();
  command->add_flag("--json", o->json, "print JSON");
  command->footer(
      "Examples:\n  replygate try replygate.toml --client 192.0.2.10 --user carol@example.org --from carol@example.org "
      "\\\n"
      "    --to 'r{1..101}@elsewhere.example'\n"
      "  replygate try replygate.toml --from a@b.example --to c@example.org --repeat 3 --every 10m\n"
      "  replygate try replygate.toml --user carol@example.org --to 'r{1..60}@elsewhere.example' \\\n"
      "    --outcome 'hard_bounces = 8' --every 5m\n"
      "  replygate try replygate.toml --session dialogue.txt");
  command->callback([o, &action] { action = [o] { return try_command(*o); }; });
}

void add_import(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand("import", "turn the rules of another program into a policy");
  auto options = std::make_shared<ImportOptions>();
  const std::vector<std::string> formats = {
      "postfwd", "policyd-rate-limit", "access", "postfix", "cbpolicyd", "iredapd", "rspamd", "exim"};
  command
      ->add_option("format", options->format,
                   "postfwd, policyd-rate-limit, access, postfix (the output of `postconf -n`), cbpolicyd, iredapd, "
                   "rspamd or exim")
      ->required()
      ->check(CLI::IsMember(formats));
  command->add_option("file", options->file, "its configuration; - for standard input")->required();
  command->add_option("--prefix", options->prefix, "of the names of all rules; else the file's name");
  command->add_option("--as", options->as, "what the keys of an access table are: client, helo, sender or recipient")
      ->check(CLI::IsMember({"client", "helo", "sender", "recipient"}));
  command->add_option("--type", options->type, "of an access table: hash, cidr, pcre, regexp …; else by its look");
  command->add_option("--delimiter", options->delimiter, "Postfix's recipient_delimiter");
  command->add_flag("--dotted-parents", options->dotted_parents,
                    "Postfix's parent_domain_matches_subdomains is without smtpd_access_maps");
  command->footer(
      "Prints a policy; what could not be carried over goes to stderr and, at its place, into comments.\n\n"
      "Examples:\n  replygate import postfwd /etc/postfix/postfwd.cf >replygate.d/postfwd.toml\n"
      "  replygate import policyd-rate-limit /etc/policyd-rate-limit.yaml\n"
      "  replygate import access --as sender /etc/postfix/sender_access\n"
      "  postconf -n | replygate import postfix - --prefix postfix\n"
      "  mysqldump policyd | replygate import cbpolicyd -");
  command->callback([options, &action] { action = [options] { return import_command(*options); }; });
}

void add_codes(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand("codes", "list reply codes and classifications");
  auto options = std::make_shared<CodesOptions>();
  command->add_flag("--json", options->json, "print the reply codes as JSON");
  command->footer("Examples:\n  replygate codes\n  replygate codes --json | jq '.[] | select(.code == 453)'");
  command->callback([options, &action] { action = [options] { return codes_command(*options); }; });
}

void add_explain(CLI::App& app, Action& action) {
  auto* command =
      app.add_subcommand("explain", "explain a code, a classification, a diagnostic, a bounce or lines of a mail log");
  auto options = std::make_shared<ExplainOptions>();
  command
      ->add_option(
          "what", options->what,
          "453, 4.5.3, too-many-recipients, RG1203, a reply or line as received, files, or - for standard input")
      ->required();
  command->add_option("--at", options->at, "the SMTP command that was answered, e.g. RCPT");
  command->add_option("--statuses", options->statuses, "folder with your own knowledge of replies")
      ->default_val(kStatusFolder);
  command->add_flag("--json", options->json, "print JSON");
  command->add_flag("--jsonl", options->jsonl, "take each line as an input, and print a line of JSON for each answer");
  command->footer(
      "Exits with 1 for what is no bounce; with --jsonl, where no line is one.\n\n"
      "Examples:\n  replygate explain 453 --at RCPT\n  replygate explain 4.5.3\n"
      "  replygate explain '552 5.2.2 <bob@example.org> mailbox full'\n"
      "  replygate explain bounce.eml\n  grep status=bounced /var/log/mail.log | replygate explain --jsonl -");
  command->callback([options, &action] { action = [options] { return explain_command(*options); }; });
}

// Options that all commands about the running daemon have.
template <typename Options>
std::shared_ptr<Options> control_options(CLI::App* command) {
  auto options = std::make_shared<Options>();
  command->add_option("--socket", options->socket, "the daemon's control socket")->capture_default_str();
  command->add_flag("--json", options->json, "print JSON");
  return options;
}

template <typename Options>
void act(CLI::App* command, Action& action, std::shared_ptr<Options> options, int (*carry_out)(const Options&)) {
  command->callback([&action, options, carry_out] { action = [options, carry_out] { return carry_out(*options); }; });
}

void add_daemon_commands(CLI::App& app, Action& action) {
  auto* status = app.add_subcommand("status", "what the daemon does, and whether all is well");
  status->footer("Exits with 1 where something is in trouble.\n\nExample:\n  replygate status");
  act(status, action, control_options<ControlOptions>(status), status_command);

  auto* rules = app.add_subcommand("rules", "how often each rule answered, and when last");
  rules->footer("Example:\n  replygate rules");
  act(rules, action, control_options<ControlOptions>(rules), rules_command);

  auto* reload = app.add_subcommand("reload", "have the daemon reload its policy");
  reload->footer(
      "Exits with 78 and prints the diagnostics if the policy is invalid; the old one then stays in force.\n\n"
      "Example:\n  replygate check /etc/replygate/replygate.toml && replygate reload");
  act(reload, action, control_options<ControlOptions>(reload), reload_command);

  auto* drain = app.add_subcommand("drain", "turn new sessions away with 421, and let open ones end");
  auto drain_options = control_options<DrainOptions>(drain);
  drain->add_flag("--off", drain_options->off, "let new sessions in again");
  drain->footer("Examples:\n  replygate drain\n  replygate drain --off");
  act(drain, action, drain_options, drain_command);
}

void add_quota(CLI::App& app, Action& action) {
  auto* quota = app.add_subcommand("quota", "the counters: of one key, or the fullest");
  quota->require_subcommand(1);
  const auto add = [&](const char* name, const char* about, int (*carry_out)(const QuotaOptions&)) {
    auto* command = quota->add_subcommand(name, about);
    auto options = control_options<QuotaOptions>(command);
    command->add_option("key", options->key, "as records show it: alice@example.org, 192.0.2.0/24, or 'a|b'")
        ->required();
    command->add_option("--rule", options->rule, "of this rule alone");
    act(command, action, options, carry_out);
    return std::pair(command, options);
  };
  auto* list = quota->add_subcommand("list", "the fullest limits, and raises in force");
  auto list_options = control_options<QuotaListOptions>(list);
  list->add_option("-n,--count", list_options->count, "rows")->capture_default_str()->check(CLI::Range(1, 1000));
  list->add_option("--rule", list_options->rule, "of this rule alone");
  list->footer("Of keys that were seen in the last five to ten minutes.\n\nExample:\n  replygate quota list");
  act(list, action, list_options, quota_list_command);
  add("show", "what is used, what is left, and when there is room again", quota_show_command)
      .first->footer("Example:\n  replygate quota show alice@example.org");
  add("reset", "forget what was used", quota_reset_command)
      .first->footer("Example:\n  replygate quota reset alice@example.org --rule user-sending-quota");
  auto [raise, options] = add("raise", "more room for a while", quota_raise_command);
  raise->add_option("--times", options->times, "factor for the limits; 1 withdraws a raise")
      ->capture_default_str()
      ->check(CLI::Range(1.0, 1000.0));
  raise->add_option("--until", options->until, "for how long, or RFC 3339")->capture_default_str();
  raise->add_option("--reason", options->reason, "for the record");
  raise->footer("Example:\n  replygate quota raise alice@example.org --times 3 --until 2h --reason 'ticket 4711'");
}

void add_outcome(CLI::App& app, Action& action) {
  auto* outcome =
      app.add_subcommand("outcome", "take a bounce or a complaint from standard input; addresses that are dead");
  auto options = control_options<ControlOptions>(outcome);
  outcome->callback([outcome, options, &action] {
    if (outcome->get_subcommands().empty()) action = [options] { return outcome_command(*options); };
  });
  outcome->footer(
      "Finds the message by the ids that a delivery report (RFC 3464) or a feedback report (RFC 5965) names, and "
      "counts what\n"
      "became of it. Exits with 0, or with 75 for the MTA to try again where the daemon cannot be reached.\n\n"
      "Examples:\n  replygate outcome < bounce.eml\n  replygate outcome dead\n  replygate outcome clear "
      "bob@example.com");
  auto* dead = outcome->add_subcommand("dead", "addresses whose servers have called them dead, the last first");
  auto dead_options = control_options<OutcomeOptions>(dead);
  dead->add_option("address", dead_options->address, "this one alone");
  dead->footer("Example:\n  replygate outcome dead bob@example.com");
  act(dead, action, dead_options, outcome_dead_command);
  auto* clear = outcome->add_subcommand("clear", "forget that an address was called dead");
  auto clear_options = control_options<OutcomeOptions>(clear);
  clear->add_option("address", clear_options->address, "the address")->required();
  clear->footer("Example:\n  replygate outcome clear bob@example.com");
  act(clear, action, clear_options, outcome_clear_command);
}

void add_watching(CLI::App& app, Action& action) {
  auto* top = app.add_subcommand("top", "who sends most: senders, clients, rules");
  auto top_options = control_options<TopOptions>(top);
  top->add_option("-n,--count", top_options->count, "rows")->capture_default_str()->check(CLI::Range(1, 1000));
  top->add_flag("--once", top_options->once, "print once, do not redraw");
  top->footer("Of the last five to ten minutes.\n\nExamples:\n  replygate top\n  replygate top --once --json");
  act(top, action, top_options, top_command);

  auto* tail = app.add_subcommand("tail", "decisions as they are made");
  auto tail_options = control_options<TailOptions>(tail);
  tail->add_option("--address", tail_options->address, "of this sender, login or recipient");
  tail->add_option("--rule", tail_options->rule, "by this rule");
  tail->add_option("--code", tail_options->code, "with this reply code");
  tail->add_option("--ip", tail_options->ip, "of this client or network");
  auto* outcomes = tail->add_flag("--outcomes", tail_options->outcomes, "what became of accepted mail, instead");
  for (const char* option : {"--rule", "--code"}) outcomes->excludes(tail->get_option(option));
  tail->footer(
      "Examples:\n  replygate tail --code 452\n  replygate tail --ip 192.0.2.0/24 --json\n"
      "  replygate tail --outcomes --address alice@example.org");
  act(tail, action, tail_options, tail_command);

  auto* why = app.add_subcommand("why", "why was this refused, or let through?");
  auto why_options = control_options<WhyOptions>(why);
  why->add_option("word", why_options->word, "a reference, a queue id, an address, or a client's IP address")
      ->required();
  why->add_option("-n,--count", why_options->count, "records, newest first")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  why->footer(
      "Exits with 1 where nothing is known.\n\nExamples:\n  replygate why 7Q2KMX4D\n"
      "  replygate why alice@example.org -n 5");
  act(why, action, why_options, why_command);
}

void add_host(CLI::App& app, Action& action) {
  auto* doctor = app.add_subcommand("doctor", "what is wrong on this host, and how to fix it");
  auto d = std::make_shared<DoctorOptions>();
  doctor->add_option("-c,--config", d->file, "the policy")->capture_default_str();
  doctor->add_option("--socket", d->socket, "the daemon's control socket")->capture_default_str();
  doctor->add_option("--postfix", d->postfix, "the folder of main.cf, if it is not the standard one");
  doctor->add_option("--sendmail", d->sendmail, "the folder of sendmail.mc, if it is not the standard one");
  doctor->add_flag("--json", d->json, "print JSON");
  doctor->footer("Exits with 1 where something is wrong.\n\nExample:\n  replygate doctor");
  doctor->callback([d, &action] { action = [d] { return doctor_command(*d); }; });

  auto* init = app.add_subcommand("init", "write a policy to begin with, from what Postfix knows of this site");
  auto i = std::make_shared<InitOptions>();
  init->add_option("-c,--config", i->file, "where to write it")->capture_default_str();
  init->add_option("--domains", i->domains, "domains that are delivered here, with commas between")->delimiter(',');
  init->add_option("--networks", i->networks, "networks that may send anywhere, with commas between")->delimiter(',');
  init->add_option("--notify", i->notify, "whom to tell of warnings and first refusals");
  init->add_option("--postfix", i->postfix, "the folder of main.cf, if it is not the standard one");
  init->add_flag("--replace", i->replace, "keep a policy that is there as *.before-replygate");
  init->add_flag("--print", i->print, "print it and write nothing");
  init->footer(
      "Asks at a terminal what no option says.\n\nExamples:\n  replygate init --replace\n"
      "  replygate init --print --domains example.org,example.net");
  init->callback([i, &action] { action = [i] { return init_command(*i); }; });

  auto* setup = app.add_subcommand("setup", "have the MTA ask replygate: the change as a diff, or done");
  auto s = std::make_shared<SetupOptions>();
  setup->add_option("mta", s->mta, "postfix or sendmail")->required()->check(CLI::IsMember({"postfix", "sendmail"}));
  setup->add_option("-c,--config", s->file, "the policy")->capture_default_str();
  setup->add_option("--folder", s->folder, "of main.cf or sendmail.mc, if it is not the standard one");
  setup->add_flag("--apply", s->apply, "make the change; the old file is kept as *.before-replygate");
  setup->add_flag("--remove", s->remove, "have the MTA ask replygate no more, before the package is removed");
  setup->footer(
      "Exits with 1 where there is something to change.\n\nExamples:\n  replygate setup postfix\n"
      "  replygate setup postfix --apply\n  replygate setup postfix --remove --apply");
  setup->callback([s, &action] { action = [s] { return setup_command(*s); }; });
}

// What to parse, the last word first; nothing, with a complaint, where there is no such command. "help" and "version"
// are what people type first.
std::vector<std::string> meant_words(const CLI::App& app, int argc, char** argv) {
  std::vector<std::string> words(argv + 1, argv + argc);
  if (words.empty()) {
    fmt::print(stderr, "{}", app.help());
    return {};
  }
  if (words.front() == "help") {
    words.erase(words.begin());
    words.emplace_back("--help");
  } else if (words.front() == "version") {
    words.front() = "--version";
  }
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(command->get_name());
  }
  if (!words.front().starts_with('-') && std::ranges::find(names, words.front()) == names.end()) {
    const std::vector<std::string_view> known(names.begin(), names.end());
    const std::string_view meant = nearest(words.front(), known);
    fmt::print(stderr, "replygate: there is no command \"{}\"; {}\n", words.front(),
               meant.empty() ? "`replygate --help` lists them" : fmt::format("did you mean \"{}\"?", meant));
    return {};
  }
  std::ranges::reverse(words);
  return words;
}

int run(int argc, char** argv) {
  CLI::App app("Decides which SMTP reply mail gets, by a policy.", "replygate");
  app.formatter(help_format());
  app.set_version_flag("--version", "replygate " REPLYGATE_VERSION);
  app.require_subcommand(1);
  Action action;
  add_run(app, action);
  add_daemon_commands(app, action);
  add_quota(app, action);
  add_outcome(app, action);
  add_watching(app, action);
  add_host(app, action);
  add_check(app, action);
  add_test(app, action);
  add_try(app, action);
  add_past_commands(app, action);
  add_import(app, action);
  add_codes(app, action);
  add_explain(app, action);
  std::vector<std::string> words = meant_words(app, argc, argv);
  if (words.empty()) return kUsage;
  try {
    app.parse(words);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kFine : kUsage;
  }
  return written(action());
}

}  // namespace

int main(int argc, char** argv) {
  open_standard_streams();
  sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);  // nobody asks, and each allocation would take a lock for it
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    replygate::say(error.what());
    return kInternal;
  }
}

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <functional>

#include "milter/cli/commands.h"
#include "milter/log/say.h"

namespace {

using namespace replygate;

using Action = std::function<int()>;

void add_run(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand("run", "run the daemon in the foreground");
  auto options = std::make_shared<RunOptions>();
  options->file = "/etc/replygate/replygate.toml";
  command->add_option("-c,--config", options->file, "the policy")->capture_default_str();
  command->add_flag("--as-root", options->as_root, "do not refuse to run as root, for tests in a container");
  command->footer("Example:\n  replygate run -c /etc/replygate/replygate.toml");
  command->callback([options, &action] { action = [options] { return run_command(*options); }; });
}

void add_check(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand("check", "look for mistakes in a policy");
  auto options = std::make_shared<CheckOptions>();
  command->add_option("file", options->file, "the policy")->required();
  command->add_flag("--show", options->show, "print the compiled rules with every default");
  command->add_flag("--strict", options->strict, "take warnings for errors");
  command->add_flag("--json", options->json, "print the diagnostics as JSON");
  command->footer("Examples:\n  replygate check replygate.toml\n  replygate check --show replygate.toml");
  command->callback([options, &action] { action = [options] { return check_command(*options); }; });
}

void add_test(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand("test", "run the tests of policies");
  auto options = std::make_shared<TestOptions>();
  command->add_option("files", options->files, "policies")->required();
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
  command->add_option("--from", o->from, "envelope sender; left away it is <>");
  command->add_option("--to", o->to, "recipients, also as ranges: 'r{1..101}@example.org'")->allow_extra_args(false);
  command->add_option("--tls", o->tls, "TLS version, e.g. TLSv1.3");
  command->add_option("--size", o->size, "size of the message, e.g. '5 MB'");
  command->add_option("--mailbox-used", o->mailbox_used, "how full the mailboxes of the recipients are, e.g. 95%");
  command->add_option("--route", o->route, "the MTA's mailer for the recipients, e.g. smtp");
  command->add_option("--header", o->headers, "a header field, 'Subject: hello'")->allow_extra_args(false);
  command->add_option("--body", o->body, "a file with the body of the message");
  command->add_option("--session", o->session, "a file with an SMTP dialogue, instead of the options above");
  command->add_option("--at", o->at, "when, RFC 3339, e.g. 2026-11-22T09:00:00Z; left away it is now");
  command->add_option("--repeat", o->repeat, "so many transactions")->check(CLI::Range(1, 1000000));
  command->add_option("--every", o->every, "time between them, e.g. 10s");
  command->add_option("--state", o->state, "empty, or a file with counters")->capture_default_str();
  command->add_flag("--json", o->json, "print JSON");
  command->footer(
      "Examples:\n  replygate try replygate.toml --client 192.0.2.10 --user carol@example.org --from carol@example.org "
      "\\\n"
      "    --to 'r{1..101}@elsewhere.example'\n"
      "  replygate try replygate.toml --from a@b.example --to c@example.org --repeat 3 --every 10m\n"
      "  replygate try replygate.toml --session dialogue.txt");
  command->callback([o, &action] { action = [o] { return try_command(*o); }; });
}

void add_import(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand("import", "turn the rules of another program into a policy");
  auto options = std::make_shared<ImportOptions>();
  command->add_option("format", options->format, "postfwd, policyd-rate-limit or access")
      ->required()
      ->check(CLI::IsMember({"postfwd", "policyd-rate-limit", "access"}));
  command->add_option("file", options->file, "its configuration")->required();
  command->add_option("--as", options->as, "what the keys of an access table are: client, helo, sender or recipient")
      ->check(CLI::IsMember({"client", "helo", "sender", "recipient"}));
  command->footer(
      "Prints a policy; what could not be carried over goes to stderr and into comments.\n\n"
      "Examples:\n  replygate import postfwd /etc/postfix/postfwd.cf >replygate.toml\n"
      "  replygate import policyd-rate-limit /etc/policyd-rate-limit.yaml\n"
      "  replygate import access --as sender /etc/postfix/sender_access");
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
  auto* command = app.add_subcommand("explain", "explain a code, a classification, a diagnostic or a whole bounce");
  auto options = std::make_shared<ExplainOptions>();
  command->add_option("what", options->what, "453, 4.5.3, too-many-recipients, RG1203, or a reply as received")
      ->required();
  command->add_option("--at", options->at, "the SMTP command that was answered, e.g. RCPT");
  command->add_flag("--json", options->json, "print JSON");
  command->footer(
      "Examples:\n  replygate explain 453 --at RCPT\n  replygate explain 4.5.3\n"
      "  replygate explain '552 5.2.2 <bob@example.org> mailbox full'");
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

  auto* reload = app.add_subcommand("reload", "have the daemon read its policy anew");
  reload->footer(
      "Exits with 78, and the diagnostics, where the policy is in error; the old one goes on then.\n\n"
      "Example:\n  replygate check /etc/replygate/replygate.toml && replygate reload");
  act(reload, action, control_options<ControlOptions>(reload), reload_command);

  auto* drain = app.add_subcommand("drain", "turn new sessions away with 421, and let open ones end");
  auto drain_options = control_options<DrainOptions>(drain);
  drain->add_flag("--off", drain_options->off, "let new sessions in again");
  drain->footer("Examples:\n  replygate drain\n  replygate drain --off");
  act(drain, action, drain_options, drain_command);
}

void add_quota(CLI::App& app, Action& action) {
  auto* quota = app.add_subcommand("quota", "the counters of one key");
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
  add("show", "what is used, what is left, and when there is room again", quota_show_command)
      .first->footer("Example:\n  replygate quota show alice@example.org");
  add("reset", "forget what was used", quota_reset_command)
      .first->footer("Example:\n  replygate quota reset alice@example.org --rule user-sending-quota");
  auto [raise, options] = add("raise", "more room for a while", quota_raise_command);
  raise->add_option("--times", options->times, "so many times the limits; 1 takes a raise back")
      ->capture_default_str()
      ->check(CLI::Range(1.0, 1000.0));
  raise->add_option("--until", options->until, "for how long, or RFC 3339")->capture_default_str();
  raise->add_option("--reason", options->reason, "for the record");
  raise->footer("Example:\n  replygate quota raise alice@example.org --times 3 --until 2h --reason 'ticket 4711'");
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
  tail->footer("Examples:\n  replygate tail --code 452\n  replygate tail --ip 192.0.2.0/24 --json");
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
  auto* doctor = app.add_subcommand("doctor", "what is wrong on this host, and how to mend it");
  auto d = std::make_shared<DoctorOptions>();
  doctor->add_option("-c,--config", d->file, "the policy")->capture_default_str();
  doctor->add_option("--socket", d->socket, "the daemon's control socket")->capture_default_str();
  doctor->add_option("--postfix", d->postfix, "the folder of main.cf, if it is not the standard one");
  doctor->add_option("--sendmail", d->sendmail, "the folder of sendmail.mc, if it is not the standard one");
  doctor->add_flag("--json", d->json, "print JSON");
  doctor->footer("Exits with 1 where something is wrong.\n\nExample:\n  replygate doctor");
  doctor->callback([d, &action] { action = [d] { return doctor_command(*d); }; });

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

int run(int argc, char** argv) {
  CLI::App app("Decides which SMTP reply mail gets, by a policy.", "replygate");
  app.set_version_flag("--version", "replygate " REPLYGATE_VERSION);
  app.require_subcommand(1);
  Action action;
  add_run(app, action);
  add_daemon_commands(app, action);
  add_quota(app, action);
  add_watching(app, action);
  add_host(app, action);
  add_check(app, action);
  add_test(app, action);
  add_try(app, action);
  add_import(app, action);
  add_codes(app, action);
  add_explain(app, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kFine : kUsage;
  }
  return action();
}

// A closed stdout or stderr is not to become a file of ours.
void open_standard_streams() {
  int descriptor = 0;
  do {
    descriptor = ::open("/dev/null", O_RDWR);
  } while (descriptor >= 0 && descriptor <= STDERR_FILENO);
  if (descriptor >= 0) ::close(descriptor);
}

}  // namespace

int main(int argc, char** argv) {
  open_standard_streams();
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    replygate::say(error.what());
    return kInternal;
  }
}

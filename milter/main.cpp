#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <functional>

#include "milter/cli/commands.h"

namespace {

using namespace replygate;

using Action = std::function<int()>;

void add_run(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand("run", "run the daemon in the foreground");
  auto options = std::make_shared<RunOptions>();
  options->file = "/etc/replygate/replygate.toml";
  command->add_option("-c,--config", options->file, "the policy")->capture_default_str();
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

int run(int argc, char** argv) {
  CLI::App app("Decides which SMTP reply mail gets, by a policy.", "replygate");
  app.set_version_flag("--version", "replygate " REPLYGATE_VERSION);
  app.require_subcommand(1);
  Action action;
  add_run(app, action);
  add_check(app, action);
  add_codes(app, action);
  add_explain(app, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kFine : kUsage;
  }
  return action();
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fputs(fmt::format("replygate: {}\n", error.what()).c_str(), stderr);
    return kInternal;
  }
}

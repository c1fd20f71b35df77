#include "milter/past_commands.h"

#include <memory>

#include "milter/bounce/status_files.h"
#include "milter/cli/commands.h"

namespace replygate {
namespace {

const CLI::Validator kNotEmpty([](const std::string& text) { return std::string(text.empty() ? "is empty" : ""); }, "");
// A number that is none is within no bounds.
const CLI::Validator kTimes(
    [](const std::string& text) {
      double times = 0;
      const bool good = CLI::detail::lexical_cast(text, times) && times >= 1 && times <= 100;
      return std::string(good ? "" : "write a number from 1 to 100");
    },
    "");

const CLI::Validator kWhole(
    [](const std::string& text) {
      std::int64_t number = 0;
      return std::string(CLI::detail::lexical_cast(text, number) && number >= 0 ? ""
                                                                                : "write a whole number from 0 on");
    },
    "");
const CLI::Validator kMailbox(
    [](const std::string& text) {
      const bool good = !text.empty() && text.find_first_of(" \t\r\n") == std::string::npos;
      return std::string(good ? "" : "write one address");
    },
    "");

// Where commands about the past find it.
CLI::Option* add_past(CLI::App* command, PastOptions& options) {
  auto* history = command->add_option("--history", options.history, "a folder of records, instead of the policy's");
  history->check(kNotEmpty);
  for (const char* mta : {"--postfix", "--sendmail", "--exim"}) {
    command->add_option(mta, options.files, "logs instead: files, also rotated and compressed ones, - or journal")
        ->check(kNotEmpty);
  }
  return history;
}

// Both would be read as if they were one.
void add_one_past(CLI::App* command, PastOptions& options) {
  auto* history = add_past(command, options);
  for (const char* mta : {"--postfix", "--sendmail", "--exim"}) history->excludes(command->get_option(mta));
}

void add_replay(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand("replay", "what a policy would have answered to past mail");
  auto options = std::make_shared<ReplayOptions>();
  command->add_option("file", options->file, "the policy")->required();
  command->add_option("--since", options->since, "compare from then on, e.g. 7d; earlier mail fills counters")
      ->check(kNotEmpty);
  add_one_past(command, *options);
  command
      ->add_option("--max-new-refusals", options->max_new_refusals, "exit with 1 if more recipients would be refused")
      ->check(kWhole);
  command->add_option("-n,--count", options->count, "keys of each rule")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  command->add_flag("--json", options->json, "print JSON");
  command->footer(
      "Writes nothing, and asks no daemon.\n\n"
      "Examples:\n  replygate replay new.toml --since 7d\n"
      "  replygate replay new.toml --postfix /var/log/mail.log*\n"
      "  replygate replay new.toml --history ./history --max-new-refusals 0");
  command->callback([options, &action] { action = [options] { return replay_command(*options); }; });
}

void add_suggest(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand("suggest", "limits that fit past mail, as a policy in observe mode");
  auto options = std::make_shared<SuggestOptions>();
  command->add_option("--since", options->since, "use mail from then on, e.g. 28d")->check(kNotEmpty);
  add_one_past(command, *options);
  command->add_option("--head-room", options->head_room, "a limit is this many times what ordinary keys sent")
      ->capture_default_str()
      ->check(kTimes);
  command->add_flag("--json", options->json, "print JSON");
  command->footer(
      "Writes nothing, and asks no daemon.\n\n"
      "Examples:\n  replygate suggest --postfix /var/log/mail.log* >suggested.toml\n"
      "  replygate suggest --history ./history --since 28d --json");
  command->callback([options, &action] { action = [options] { return suggest_command(*options); }; });
}

void add_report(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand("report", "what happened: refusals here and elsewhere, full limits, what is new");
  auto options = std::make_shared<ReportOptions>();
  command->add_option("--since", options->since, "of mail from then on")->capture_default_str()->check(kNotEmpty);
  add_past(command, *options);
  command->add_option("--statuses", options->statuses, "folder with your own knowledge of replies")
      ->default_val(kStatusFolder);
  auto* mail = command->add_option("--mail", options->mail, "print it as a message to this address");
  mail->check(kMailbox);
  command->add_flag("--json", options->json, "print JSON")->excludes(mail);
  command->footer(
      "At most sixty lines, problems first. A log tells what became of the mail. To use both, name both.\n\n"
      "Examples:\n  replygate report\n"
      "  replygate report --history /var/lib/replygate/history --postfix /var/log/mail.log*\n"
      "  replygate report --postfix journal --mail postmaster@example.org | sendmail -t");
  command->callback([options, &action] { action = [options] { return report_command(*options); }; });
}

}  // namespace

void add_past_commands(CLI::App& app, Action& action) {
  add_replay(app, action);
  add_suggest(app, action);
  add_report(app, action);
}

}  // namespace replygate

// Plays the tests of the reliability goals: fault_goals REPLYGATE [--full] [--loose] [G5 G17 …]

#include <csignal>
#include <exception>
#include <set>
#include <string>

#include "tests/fault/goals.h"

namespace replygate::test {
namespace {

struct Goal {
  std::string_view id;
  void (*play)(const GoalOptions&, Report&);
};

constexpr Goal kGoals[] = {
    {"G1", killed_commit},   {"G2", killed_window},     {"G5", restarts},       {"G6", reloads},
    {"G7", standing_server}, {"G8", failing_server},    {"G9", exact_counting}, {"G10", exact_nodes},
    {"G11", counting_alone}, {"G12", fail_over},        {"G12", partitions},    {"G8", partial_partitions},
    {"G13", exact_model},    {"G14", order_of_answers}, {"G15", wrong_clocks},  {"G16", flood_of_keys},
    {"G17", no_descriptors}, {"G18", few_tasks},        {"G19", slow_peers},    {"G20", mutated_packets},
    {"G21", idle_peers},     {"G22", unwritable_file},  {"G23", damaged_file},  {"G24", hostile_values},
    {"G25", http_attacks},   {"G26", control_attacks},  {"G29", soak},          {"G32", order_attacks},
    {"WHY", long_history},   {"TCP", two_writes}};

int run(int argc, char** argv) {
  GoalOptions options{.binary = argv[1]};
  std::set<std::string, std::less<>> chosen;
  for (int i = 2; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--full") {
      options.full = true;
    } else if (word == "--loose") {
      options.small = true;
    } else {
      chosen.insert(word);
    }
  }
  Report report(options.small);
  for (const Goal& goal : kGoals) {
    if (chosen.empty() || chosen.contains(goal.id)) goal.play(options, report);
  }
  return report.good() ? 0 : 1;
}

}  // namespace
}  // namespace replygate::test

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "usage: fault_goals REPLYGATE [--full] [--loose] [GOAL…]\n");
    return 64;
  }
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return replygate::test::run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "fault_goals: {}\n", error.what());
    return 1;
  }
}

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <system_error>

#include "milter/cli/catalogue_json.h"
#include "milter/cli/colors.h"
#include "milter/cli/commands.h"
#include "milter/cli/load_failure.h"
#include "milter/files.h"
#include "policy/mail/text.h"
#include "policy/scenario/test_report.h"

namespace replygate {
namespace {

std::string xml(std::string_view text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '<': result += "&lt;"; break;
      case '>': result += "&gt;"; break;
      case '&': result += "&amp;"; break;
      case '"': result += "&quot;"; break;
      default: result += static_cast<unsigned char>(c) < 0x20 && c != '\n' ? ' ' : c;
    }
  }
  return result;
}

// A policy and what its tests said.
struct Suite {
  std::string file;
  TestReport report;
};

std::size_t failures(const TestReport& report) {
  return static_cast<std::size_t>(
      std::ranges::count_if(report.results, [](const TestResult& r) { return !r.differences.empty(); }));
}

std::string junit(const std::vector<Suite>& suites) {
  std::string text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n";
  for (const Suite& suite : suites) {
    text += fmt::format("  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\">\n", xml(suite.file),
                        suite.report.results.size(), failures(suite.report));
    for (const TestResult& r : suite.report.results) {
      text += fmt::format("    <testcase name=\"{}\" classname=\"{}\" file=\"{}\" line=\"{}\"", xml(r.scenario->name),
                          xml(suite.file), xml(r.scenario->file), r.scenario->line);
      text += r.differences.empty() ? "/>\n"
                                    : fmt::format(
                                          ">\n      <failure message=\"{}\">{}</failure>\n"
                                          "    </testcase>\n",
                                          counted(r.differences.size(), "difference"), xml(differences_text(r)));
    }
    text += "  </testsuite>\n";
  }
  return text + "</testsuites>\n";
}

boost::json::object json_of(const Suite& suite) {
  boost::json::array tests;
  for (const TestResult& r : suite.report.results) {
    boost::json::array differences;
    for (const Difference& d : r.differences) {
      differences.push_back(boost::json::object{{"what", d.what}, {"expected", d.expected}, {"got", d.got}});
    }
    tests.push_back(boost::json::object{{"name", r.scenario->name},
                                        {"place", place_of(*r.scenario)},
                                        {"passed", r.differences.empty()},
                                        {"differences", std::move(differences)}});
  }
  boost::json::array never;
  for (const std::string& rule : suite.report.never_matched) never.emplace_back(rule);
  return {{"file", suite.file}, {"tests", std::move(tests)}, {"never_matched", std::move(never)}};
}

void print_suite(const Suite& suite) {
  const Colors c = colors_of(stdout);
  for (const TestResult& r : suite.report.results) {
    const std::string text = text_of(r);  // begins with "ok  " or "FAIL"
    fmt::print("{}{}{}{}", r.differences.empty() ? c.good : c.bad, text.substr(0, 4), c.off, text.substr(4));
  }
  for (const std::string& rule : suite.report.never_matched) {
    fmt::print("note: no test matches the rule {}\n", rule);
  }
  fmt::print("{}: {}, {} failed\n", suite.file, counted(suite.report.results.size(), "test"), failures(suite.report));
}

}  // namespace

int test_command(const TestOptions& options) {
  std::vector<Loaded> policies;  // that the suites refer to
  policies.reserve(options.files.size());
  std::vector<Suite> suites;
  for (const std::string& file : options.files) {
    const Loaded& loaded = policies.emplace_back(load_policy_file(file));
    if (!loaded.ok()) {
      print_diagnostics(loaded.diagnostics, loaded.sources);
      return status_of_failure(loaded.diagnostics);
    }
    suites.push_back({file, run_tests(loaded.policy, loaded.tests)});
  }
  if (!options.junit.empty()) {
    std::ofstream out(options.junit);
    out << junit(suites);
    out.close();
    if (!out) {
      fmt::print(stderr, "replygate: {}: {}\n", options.junit, std::generic_category().message(errno));
      return kUnavailable;
    }
  }
  boost::json::array all;
  bool passed = true;
  for (const Suite& suite : suites) {
    passed &= suite.report.passed();
    if (options.json) {
      all.push_back(json_of(suite));
    } else {
      print_suite(suite);
    }
  }
  if (options.json) fmt::print("{}", line_of(all));
  return passed ? kFine : kFound;
}

}  // namespace replygate

// One broken policy a mistake: each NAME.toml beside NAME.expected, which is what the loader must say of it, to the
// letter. With REPLYGATE_UPDATE=1 in the environment the expectations are written anew, to be read before a commit.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "milter/files.h"
#include "policy/load/diagnostic.h"

namespace replygate {
namespace {

namespace fs = std::filesystem;

std::string content(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

std::vector<fs::path> policies() {
  std::vector<fs::path> paths;
  for (const auto& entry : fs::directory_iterator(BAD_DIR)) {
    if (entry.path().extension() == ".toml") paths.push_back(entry.path());
  }
  std::ranges::sort(paths);
  return paths;
}

std::string said_of(const fs::path& path, std::set<int>& seen) {
  std::string why;
  const Loaded loaded = load_policy(path.filename().string(), [&](DataSource source, std::string& reason) {
    source.path = (path.parent_path() / source.path).string();
    return read_source(source, reason);
  });
  std::string text;
  for (const Diagnostic& d : loaded.diagnostics) {
    seen.insert(static_cast<int>(d.code));
    text += render(d, loaded.sources);
  }
  return text;
}

TEST(Bad, EachMistakeHasItsDiagnostic) {
  // load_test has the first, which has no file; `replygate check` says the others, see check_cli.py.
  std::set<int> seen = {static_cast<int>(Rg::unreadable_file), static_cast<int>(Rg::open_relay),
                        static_cast<int>(Rg::relay_undecided), static_cast<int>(Rg::test_failed)};
  for (const fs::path& path : policies()) {
    fs::path expected = path;
    expected.replace_extension(".expected");
    const std::string said = said_of(path, seen);
    EXPECT_FALSE(said.empty()) << path << " has no mistake";
    if (std::getenv("REPLYGATE_UPDATE") != nullptr) std::ofstream(expected) << said;
    EXPECT_EQ(said, content(expected)) << path;
  }
  for (const RgInfo& row : rg_table()) {
    EXPECT_TRUE(seen.contains(static_cast<int>(row.code)))
        << "no policy in tests/bad shows RG" << static_cast<int>(row.code);
  }
}

// The first specimen that shows a diagnostic; "" where a command says it.
std::string specimen_of(const RgInfo& row) {
  const std::string code = fmt::format("[RG{}]", static_cast<int>(row.code));
  for (const fs::path& path : policies()) {
    const std::string said = content(fs::path(path).replace_extension(".expected"));
    const std::size_t begin = said.find(code);
    if (begin == std::string::npos) continue;
    const std::size_t from = said.rfind('\n', begin) + 1;  // npos + 1 is 0
    return said.substr(from, said.find("\n\n", begin) - from);
  }
  return "";
}

std::string page_of_diagnostics() {
  std::string page =
      "# Diagnostics\n\nWhat `replygate check` says of a policy, by number. `replygate explain RG1101` prints the "
      "meaning of "
      "one.\n";
  for (const RgInfo& row : rg_table()) {
    page += fmt::format("\n## RG{}\n\n{}: {}\n", static_cast<int>(row.code), row.title, row.explanation);
    std::string specimen = specimen_of(row);
    while (specimen.ends_with('\n')) specimen.pop_back();
    if (!specimen.empty()) page += fmt::format("\n```\n{}\n```\n", specimen);
  }
  return page;
}

TEST(Bad, EachDiagnosticHasItsSection) {
  const std::string page = page_of_diagnostics();
  const fs::path path = fs::path(BAD_DIR) / "../../conf/DIAGNOSTICS.md";
  if (std::getenv("REPLYGATE_UPDATE") != nullptr) std::ofstream(path) << page;
  EXPECT_EQ(page, content(path)) << "REPLYGATE_UPDATE=1 writes it";
}

}  // namespace
}  // namespace replygate

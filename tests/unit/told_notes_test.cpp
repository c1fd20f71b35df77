#include "milter/serve/told_notes.h"

#include <gtest/gtest.h>

#include <fstream>
#include <future>
#include <sstream>

#include "milter/serve/notifier.h"
#include "tests/support/eventually.h"
#include "tests/support/folder.h"
#include "tests/support/office.h"

namespace replygate {
namespace {

using Event = NotifySettings::Event;
using test::Office;
using test::soon;
using namespace std::chrono_literals;

class Door final : public NoteCarrier {
 public:
  explicit Door(std::promise<void>& passed) : passed_(passed) {}
  tl::expected<void, std::string> carry(const Note&) override {
    if (++count == 1) passed_.set_value();
    return {};
  }
  bool is_for(const Note&) const override { return true; }
  void stop() override {}
  int count = 0;

 private:
  std::promise<void>& passed_;
};

std::string content(const std::string& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

// How many notes a daemon carries that has something to tell of each key; of the last one for the first time.
int carried(const std::string& file, std::initializer_list<const char*> keys) {
  Office office("");
  std::promise<void> passed;
  std::vector<std::unique_ptr<NoteCarrier>> carriers;
  carriers.push_back(std::make_unique<Door>(passed));
  const Door& door = static_cast<Door&>(*carriers.front());
  Notifier notifier(NotifySettings{}, std::move(carriers), office.health);
  notifier.keep_told(file);
  for (const char* key : keys) notifier.tell_admins(Event::blocked, key, [] { return Note{}; });
  const std::string before = content(file);
  notifier.start();
  soon(passed);
  EXPECT_TRUE(test::eventually([&] { return content(file) != before; }));
  notifier.stop();
  return door.count;
}

TEST(ToldNotes, ARestartTellsNothingAgain) {
  const test::Folder folder;
  const std::string file = folder.file("notes-told.json");
  EXPECT_EQ(carried(file, {"gmail.com",
                           "a\xff"
                           "b"}),
            2);
  EXPECT_EQ(carried(file, {"gmail.com", "yahoo.com"}), 1);
}

TEST(ToldNotes, APauseThatIsOverIsForgotten) {
  const test::Folder folder;
  const std::string file = folder.file("notes-told.json");
  const auto now = std::chrono::steady_clock::now();
  const ToldNotes told{{"new", now - 59min}, {"old", now - 61min}};
  std::ofstream(file) << text_of_told_notes({{"admins", 1h, told}});
  const ToldNotes read = read_told_notes(file, "admins");
  ASSERT_EQ(read.size(), 1U);
  EXPECT_LT(read.at("new") - (now - 59min), 5s);
  EXPECT_TRUE(read_told_notes(file, "users").empty());
}

TEST(ToldNotes, AFileThatIsNotUnderstoodHasNone) {
  const test::Folder folder;
  const std::string file = folder.file("notes-told.json");
  EXPECT_TRUE(read_told_notes(file, "admins").empty());
  for (const char* text : {"", "[]", "{\"admins\":7}", "{\"admins\":{\"a\":\"b\"}}",
                           "{\"admins\":{\"a\":9223372036854775807,\"b\":-9223372036854775807}}"}) {
    std::ofstream(file) << text;
    EXPECT_TRUE(read_told_notes(file, "admins").empty()) << text;
  }
}

}  // namespace
}  // namespace replygate

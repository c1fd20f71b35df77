#include "milter/serve/told_notes.h"

#include <boost/json.hpp>

#include "milter/files.h"
#include "milter/json_members.h"
#include "milter/serve/report_status.h"

namespace replygate {
namespace {

namespace json = boost::json;
using Steady = std::chrono::steady_clock;

// The steady clock begins anew with the machine. Its time now, less that of the clock on the wall.
Duration steady_ahead() {
  const auto wall = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<Duration>(Steady::now().time_since_epoch() - wall);
}

std::int64_t on_the_wall(Steady::time_point time) {
  return (std::chrono::duration_cast<Duration>(time.time_since_epoch()) - steady_ahead()).count();
}

}  // namespace

ToldNotes read_told_notes(const std::string& file, const std::string& who) {
  ToldNotes notes;
  std::string why;
  boost::system::error_code error;
  const auto text = read_file(file, why);
  const json::value read = text ? json::parse(*text, error) : json::value();
  if (error || !read.is_object()) return notes;
  const std::int64_t now = on_the_wall(Steady::now());
  for (const auto& [name, time] : object_at(read.get_object(), who)) {
    // What is yet to come was told before the clock was set back.
    if (!time.is_int64() || time.get_int64() < 0 || time.get_int64() > now) continue;
    notes.emplace(name, Duration(time.get_int64()) + steady_ahead());
  }
  return notes;
}

std::string text_of_told_notes(std::initializer_list<ToldTo> all) {
  const Steady::time_point now = Steady::now();
  json::object text;
  for (const ToldTo& one : all) {
    json::object notes;
    for (const auto& [name, time] : one.notes) {
      if (now - time < one.pause) notes[json_text(name)] = on_the_wall(time);
    }
    text[one.who] = std::move(notes);
  }
  return json::serialize(text) + "\n";
}

}  // namespace replygate

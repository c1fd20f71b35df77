#include "milter/serve/outcome_watch.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>

#include "milter/cli/explained.h"
#include "milter/local_time.h"
#include "milter/outcome/who_answered.h"
#include "milter/serve/note_text.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

using Event = NotifySettings::Event;

constexpr std::size_t kMostCourses = 2000;
constexpr std::chrono::minutes kClockSetBack{10};
// Single messages are refused every day.
constexpr std::int64_t kFewestBlocked = 5;
constexpr std::int64_t kBlockedPercent = 25;
constexpr std::int64_t kFewestBounced = 10;
constexpr std::int64_t kBouncedPercent = 10;

std::int64_t minute_of(Instant time) {
  return std::chrono::duration_cast<std::chrono::minutes>(time.time_since_epoch()).count();
}

bool blocks_us(const MailOutcome& o) {
  return o.kind == OutcomeKind::blocked ||
         (o.kind == OutcomeKind::deferred && outcome_of_expiry(o.explained.reason) == OutcomeKind::blocked);
}

std::string said(const MailOutcome& o) {
  return fmt::format("{}{}{}", o.status.code ? fmt::format("{} ", *o.status.code) : "",
                     o.status.enhanced ? o.status.enhanced->text() + " " : "", o.status.text);
}

std::string what_to_do(std::string_view advice) { return advice.empty() ? "" : fmt::format("To do:  {}\n", advice); }

std::string clock_text(Instant time) { return fmt::format("{:%H:%M}", local_parts(time)); }

}  // namespace

// The course that was silent for longest makes room.
OutcomeWatch::Course& OutcomeWatch::course_of(Courses& courses, const std::string& key, Instant now) {
  if (courses.size() >= kMostCourses && !courses.contains(key)) {
    courses.erase(std::ranges::min_element(courses, {}, [](const auto& course) { return course.second.last; }));
  }
  Course& course = courses[key];
  // The clock was set back: what is ahead would never be over.
  if (course.last > now + kClockSetBack) course = Course();
  course.last = std::max(course.last, now);
  return course;
}

OutcomeWatch::Sum OutcomeWatch::note(Course& course, const MailOutcome& o, bool bad) {
  const std::int64_t now = minute_of(course.last);
  const std::int64_t then = std::clamp(minute_of(o.time), now - static_cast<std::int64_t>(kMinutes) + 1, now);
  Minute& minute = course.minutes[static_cast<std::size_t>(then) % kMinutes];
  if (minute.number != then) minute = {then, 0, 0};
  ++minute.all;
  minute.bad += bad ? 1 : 0;
  Sum sum;
  for (const Minute& m : course.minutes) {
    if (m.number <= now - static_cast<std::int64_t>(kMinutes)) continue;
    sum.all += m.all;
    sum.bad += m.bad;
  }
  if (bad && sum.bad == 1) {
    course.since = o.time;
    course.text = said(o);
    course.advice = o.explained.advice.empty() ? "" : advice_line(o.explained.advice.front(), o.status);
    course.example = o.sending.queue_id;
  }
  return sum;
}

void OutcomeWatch::hear_of_provider(const MailOutcome& o) {
  const std::string who = who_answered(o.status, o.explained.provider);
  Course& course = course_of(providers_, who, o.time);
  const Sum sum = note(course, o, blocks_us(o));
  if (!blocks_us(o) || sum.bad < kFewestBlocked || sum.bad * 100 < sum.all * kBlockedPercent) return;
  const std::string name = plain_line(who);
  const std::string_view reason = info_of(o.explained.reason).slug;
  tell_(Event::blocked, who, [&] {
    return Note{
        .event = {},
        .subject = fmt::format("{} refuses us: {}, since {}", name, reason, clock_text(course.since)),
        .text = fmt::format("Host:   {}\nWho:    {}\nSince:  {:%Y-%m-%d %H:%M:%S %z}\nReason: {}: {}\nMail:   {} of "
                            "{} attempts in the last half hour\nReply:  {}\n{}\nOne of them, and all of them:\n"
                            "  replygate why {}\n  replygate report --since 1h\n",
                            plain_line(host_name()), name, local_parts(course.since), reason,
                            info_of(o.explained.reason).meaning, sum.bad, sum.all, plain_line(course.text),
                            what_to_do(plain_line(course.advice)), shell_word(course.example))};
  });
}

void OutcomeWatch::hear_of_sender(const MailOutcome& o) {
  if (!is_final(o.kind)) return;
  const std::string& who = o.sending.user.empty() ? o.sending.sender : o.sending.user;
  if (who.empty()) return;
  Course& course = course_of(senders_, who, o.time);
  const bool bad = o.kind == OutcomeKind::hard_bounce;
  const Sum sum = note(course, o, bad);
  if (!bad || sum.bad < kFewestBounced || sum.bad * 100 < sum.all * kBouncedPercent) return;
  const std::string name = plain_line(who);
  tell_(Event::bounces, who, [&] {
    return Note{.event = {},
                .subject = fmt::format("{} sends to addresses that do not exist: {} of {}", name, sum.bad, sum.all),
                .text = fmt::format(
                    "Host:   {}\nKey:    {}\nSince:  {:%Y-%m-%d %H:%M:%S %z}\nMail:   {} of {} recipients in the last "
                    "half hour do not exist\nReply:  {}\n\nAn old list, or a stolen account. One of them, and what "
                    "the limits have counted:\n  replygate why {}\n  replygate quota show {}\n",
                    plain_line(host_name()), name, local_parts(course.since), sum.bad, sum.all, plain_line(course.text),
                    shell_word(course.example), shell_word(who))};
  });
}

void OutcomeWatch::hear(const MailOutcome& o) {
  if (o.source == MailOutcome::Source::report && !o.corrects) return;  // a complaint is no attempt
  hear_of_provider(o);
  hear_of_sender(o);
}

}  // namespace replygate

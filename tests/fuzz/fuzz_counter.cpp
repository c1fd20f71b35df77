// Any octets are a counter that can be read, charged and saved again, or none.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "policy/count/counter.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace replygate;
  using std::chrono::hours;
  constexpr Instant now{hours(490000)};
  auto counter = Counter::load({reinterpret_cast<const char*>(data), size}, now);
  if (!counter) return 0;
  const Measure measures[] = {Sliding{hours(1)}, Bucket::Rate{60, hours(1)}, Fixed{now + hours(5)}, Distinct{hours(1)},
                              Greylisting{std::chrono::minutes(5), hours(24), hours(240), 0}};
  for (const Measure& measure : measures) {
    if (!counter->is(measure)) continue;
    const Charge charge{.counter = "c", .measure = measure, .most = 10, .warn_at = 5};
    counter->read(charge, 1, now);
    counter->add(charge, 1, now);
    counter->give_back(counter->reserve(charge, 2, now), now + hours(1));
    counter->warn(measure, now);
  }
  counter->idle(now + hours(1));
  PackedWriter out;
  counter->save(out, std::chrono::seconds(5));
  if (!Counter::load(out.octets(), now + hours(9))) std::abort();  // what is saved can be read
  return 0;
}

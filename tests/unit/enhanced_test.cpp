#include "policy/catalogue/enhanced.h"

#include <gtest/gtest.h>

#include <tuple>

namespace replygate {
namespace {

TEST(Enhanced, ParsesWhatRfc3463Allows) {
  EXPECT_EQ(EnhancedCode::parse("5.7.1"), (EnhancedCode{5, 7, 1}));
  EXPECT_EQ(EnhancedCode::parse("4.999.999"), (EnhancedCode{4, 999, 999}));
  EXPECT_EQ(EnhancedCode::parse("2.0.0"), (EnhancedCode{2, 0, 0}));
  for (const char* bad : {"", "5", "5.7", "5.7.", "5.7.1.1", "5.1000.1", "6.1.1", "3.1.1", "abc", "5.07.1", "5.7.01",
                          " 5.7.1", "5.7.1 ", "-5.7.1"}) {
    EXPECT_EQ(EnhancedCode::parse(bad), std::nullopt) << bad;
  }
}

TEST(Enhanced, TheRegistryIsInOrderAndFound) {
  std::tuple last(-1, -1);
  for (const EnhancedStatus& row : enhanced_statuses()) {
    const std::tuple here(int{row.subject}, int{row.detail});
    EXPECT_LT(last, here);
    last = here;
    EXPECT_EQ(find_enhanced_status({5, row.subject, row.detail}), &row);
    EXPECT_FALSE(row.meaning.empty());
    EXPECT_FALSE(row.defined_by.empty());
  }
  EXPECT_EQ(find_enhanced_status({5, 7, 99}), nullptr);
  EXPECT_EQ(find_enhanced_status({4, 5, 3})->meaning, "too many recipients");
}

TEST(Enhanced, Words) {
  EXPECT_EQ(class_in_words({4, 0, 0}), "persistent transient failure");
  EXPECT_EQ(subject_in_words({5, 7, 1}), "security or policy");
  EXPECT_EQ(subject_in_words({5, 9, 1}), "unregistered subject");
}

}  // namespace
}  // namespace replygate

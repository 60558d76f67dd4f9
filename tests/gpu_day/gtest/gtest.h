// As much of Google Test as the kernels' tests use, for machines that have a CUDA toolkit and
// nothing else (tests/gpu_day.sh). Elsewhere the real one is used.
#pragma once

#include <functional>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

namespace testing {

class Message {
 public:
  template <class T>
  Message& operator<<(const T& value) {
    text_ << value;
    return *this;
  }
  std::string text() const { return text_.str(); }

 private:
  std::ostringstream text_;
};

class AssertionResult {
 public:
  explicit AssertionResult(bool good) : good_(good) {}
  explicit operator bool() const { return good_; }
  template <class T>
  AssertionResult& operator<<(const T& value) {
    std::ostringstream text;
    text << value;
    text_ += text.str();
    return *this;
  }
  const std::string& text() const { return text_; }

 private:
  bool good_;
  std::string text_;
};
inline AssertionResult AssertionSuccess() { return AssertionResult(true); }
inline AssertionResult AssertionFailure() { return AssertionResult(false); }

class Test {
 public:
  virtual ~Test() = default;
  virtual void TestBody() = 0;
  static bool HasFatalFailure() { return fatal; }
  static inline bool failed = false, fatal = false;  // of the test that runs
};

// What failed, and where; said when it goes away.
class Failure {
 public:
  Failure(const char* file, int line, bool fatal) {
    text_ << file << ":" << line << ": ";
    Test::failed = true;
    Test::fatal = Test::fatal || fatal;
  }
  ~Failure() { std::cout << text_.str() << std::endl; }
  template <class T>
  Failure& operator<<(const T& value) {
    text_ << value << " ";
    return *this;
  }

 private:
  std::ostringstream text_;
};
// Ends the function where an assertion fails, as in `return Ender() = Failure() << ...`.
struct Ender {
  void operator=(const Failure&) const {}
};

struct Registered {
  std::string name;
  std::function<Test*()> make;
};
inline std::vector<Registered>& AllTests() {
  static std::vector<Registered> tests;
  return tests;
}
inline bool Register(const std::string& name, std::function<Test*()> make) {
  AllTests().push_back({name, std::move(make)});
  return true;
}

template <class... T>
struct Types {};
template <template <class> class TestOf, class... T>
bool RegisterTyped(const std::string& name, Types<T...>) {
  int index = 0;
  (Register(name + "/" + std::to_string(index++), [] { return new TestOf<T>; }), ...);
  return true;
}

// Runs all; how many failed.
inline int RunAll() {
  int failures = 0;
  for (const Registered& test : AllTests()) {
    Test::failed = Test::fatal = false;
    try {
      Test* one = test.make();
      one->TestBody();
      delete one;
    } catch (const std::exception& error) {
      Failure(__FILE__, __LINE__, true) << error.what();
    }
    std::cout << (Test::failed ? "FAILED " : "ok     ") << test.name << std::endl;
    failures += Test::failed ? 1 : 0;
  }
  std::cout << AllTests().size() << " tests, " << failures << " failed" << std::endl;
  return failures;
}

struct Trace {};
inline std::string TextOf(const AssertionResult& result) { return result.text(); }
inline std::string TextOf(bool) { return ""; }

}  // namespace testing

#define TEST_IN(suite, name, base)                                              \
  struct suite##_##name : base {                                                \
    void TestBody() override;                                                   \
  };                                                                            \
  static const bool registered_##suite##_##name =                               \
      ::testing::Register(#suite "." #name, [] { return new suite##_##name; }); \
  void suite##_##name::TestBody()
#define TEST(suite, name) TEST_IN(suite, name, ::testing::Test)
#define TYPED_TEST_SUITE(suite, types) using suite##Types = types
#define TYPED_TEST(suite, name)                                                   \
  template <class TypeParam>                                                      \
  struct suite##_##name : suite<TypeParam> {                                      \
    void TestBody() override;                                                     \
  };                                                                              \
  static const bool registered_##suite##_##name =                                 \
      ::testing::RegisterTyped<suite##_##name>(#suite "." #name, suite##Types{}); \
  template <class TypeParam>                                                      \
  void suite##_##name<TypeParam>::TestBody()

// Comparisons that fail name themselves; what an AssertionResult says comes with them.
#define EXPECT_TRUE(value)                                         \
  if (const auto& result_ = (value); static_cast<bool>(result_)) { \
  } else                                                           \
    ::testing::Failure(__FILE__, __LINE__, false) << #value << ::testing::TextOf(result_)
#define ASSERT_TRUE(value)                                                   \
  if (const auto& result_ = (value); static_cast<bool>(result_)) {           \
  } else                                                                     \
    return ::testing::Ender() = ::testing::Failure(__FILE__, __LINE__, true) \
                                << #value << ::testing::TextOf(result_)
#define EXPECT_FALSE(value) EXPECT_TRUE(!(value))
#define EXPECT_EQ(a, b) EXPECT_TRUE((a) == (b))
#define EXPECT_GT(a, b) EXPECT_TRUE((a) > (b))
#define ASSERT_EQ(a, b) ASSERT_TRUE((a) == (b))
#define SCOPED_TRACE(message) [[maybe_unused]] const ::testing::Trace trace_of_scope

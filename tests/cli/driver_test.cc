// A machine whose driver is missing, broken or old: what is said of it. The driver is one of our own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "process.h"

namespace mdnlab {
namespace {

using testing::HasSubstr;

Finished doctor(std::vector<std::pair<std::string, std::string>> environment,
                const std::string& device = "cuda") {
  const char* folders = std::getenv("LD_LIBRARY_PATH");
  environment.emplace_back("LD_LIBRARY_PATH", (build_folder() / "tests/cli/fake_driver").string() + ":" +
                                                  (folders ? folders : ""));
  return run_mdnlab({"doctor", "--device", device}, {.environment = std::move(environment)});
}

TEST(Driver, ThatIsMissingSaysWhatWasLookedForAndWhere) {
  const Finished run = run_mdnlab({"doctor", "--device", "cuda"});
  if (run.code == 0 || run.err.find("libcuda.so.1") == std::string::npos)
    GTEST_SKIP() << "this machine has a driver";
  EXPECT_EQ(run.code, 3);
  EXPECT_THAT(run.err, HasSubstr("there is no device cuda:0; found no NVIDIA driver, looked for in "
                                 "LD_LIBRARY_PATH and the system's folders (libcuda.so.1: "));
  EXPECT_THAT(run.err, HasSubstr("`mdnlab doctor` tells what this machine has; --device cpu"));
}

TEST(Driver, ThatDoesNotStartSaysWhy) {
  const Finished mismatch = doctor({{"FAKE_CUDA_INIT", "803"}});
  EXPECT_EQ(mismatch.code, 3);
  EXPECT_THAT(
      mismatch.err,
      HasSubstr("the NVIDIA driver does not start (CUDA error 803: words of the driver): its library and "
                "its kernel module are of two versions; restart the machine"));
  EXPECT_THAT(doctor({{"FAKE_CUDA_INIT", "999"}}).err,
              HasSubstr("the NVIDIA driver does not start (CUDA error 999: words of the driver), expected "));
  EXPECT_THAT(doctor({{"FAKE_CUDA_INIT", "100"}}).err, HasSubstr("the NVIDIA driver sees no GPU"));
}

TEST(Driver, OfAnOlderCudaThanLibTorchsIsNamedWithBothVersions) {
  const Finished run = doctor({{"FAKE_CUDA_VERSION", "12040"}});
  EXPECT_EQ(run.code, 3);
  if (run.err.find("expected the CUDA libraries of LibTorch") != std::string::npos)
    GTEST_SKIP() << "this LibTorch has no CUDA libraries: " << run.err;
  EXPECT_THAT(run.err, HasSubstr("of CUDA 12.4, expected a driver of CUDA 13."));
  const Finished told = doctor({{"FAKE_CUDA_VERSION", "12040"}}, "cpu");
  EXPECT_EQ(told.code, 0) << "runs may use the CPU";
  EXPECT_THAT(told.out, HasSubstr("Fake GPU 0, compute capability 9.0, 80.0 GiB; Fake GPU 1"));
  EXPECT_THAT(told.out, HasSubstr("of CUDA 12.4, expected a driver of CUDA 13."));
}

TEST(Driver, WithGpusThatAreTooOldIsRefused) {
  const Finished run = doctor({{"FAKE_CUDA_CAPABILITY", "75"}});
  EXPECT_EQ(run.code, 3);
  EXPECT_THAT(run.err, HasSubstr("device cuda:0 is too old; found Fake GPU 0, compute capability 7.5"));
}

TEST(Driver, OfFewerGpusThanAskedForNamesThem) {
  const Finished run = doctor({}, "cuda:5");
  EXPECT_EQ(run.code, 3);
  EXPECT_THAT(run.err, HasSubstr("there is no device cuda:5; found 2 GPUs, expected cuda:0 to cuda:1"));
}

}  // namespace
}  // namespace mdnlab

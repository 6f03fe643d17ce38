// Runs spread over devices, as many as allowed on each.
#include "run/devices.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mdnlab {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

c10::Device gpu(int index) { return {c10::kCUDA, static_cast<c10::DeviceIndex>(index)}; }

GpuFacts machine(const std::vector<int>& capabilities) {
  GpuFacts facts;
  for (const int capability : capabilities) facts.gpus.push_back({.name = "GPU", .capability = capability});
  return facts;
}

std::vector<c10::Device> take_all(DeviceSlots& slots) {
  std::vector<c10::Device> taken;
  while (const std::optional<c10::Device> device = slots.take()) taken.push_back(*device);
  return taken;
}

TEST(Devices, GpusThatAreTooOldAreLeftOut) {
  EXPECT_THAT(usable_gpus(machine({90, 75, 80})), ElementsAre(gpu(0), gpu(2)));
  EXPECT_THAT(usable_gpus(machine({70})), IsEmpty());
  EXPECT_THAT(usable_gpus(machine({})), IsEmpty());
}

TEST(Devices, EveryGpuHasARunBeforeAnyHasTwo) {
  DeviceSlots slots(usable_gpus(machine({90, 90, 90})), 2);
  EXPECT_THAT(take_all(slots), ElementsAre(gpu(0), gpu(1), gpu(2), gpu(0), gpu(1), gpu(2)));
  EXPECT_EQ(slots.count(), 3u);
}

TEST(Devices, TheNextRunGoesWhereFewestAre) {
  DeviceSlots slots({gpu(0), gpu(1)}, 2);
  take_all(slots);
  slots.give_back(gpu(1));
  EXPECT_EQ(slots.take(), gpu(1));
  EXPECT_EQ(slots.take(), std::nullopt);
  for (const int index : {1, 0, 1}) slots.give_back(gpu(index));
  EXPECT_THAT(take_all(slots), ElementsAre(gpu(1), gpu(0), gpu(1)));
}

TEST(Devices, JobsOfOneDeviceShareIt) {
  DeviceSlots slots({c10::kCPU}, 3);
  EXPECT_THAT(take_all(slots), ElementsAre(c10::kCPU, c10::kCPU, c10::kCPU));
  DeviceSlots one({gpu(1)}, 1);
  EXPECT_THAT(take_all(one), ElementsAre(gpu(1)));
}

TEST(Devices, AWorkerSeesItsGpuAlone) {
  EXPECT_EQ(visible_gpu(3, nullptr), "3");
  EXPECT_EQ(visible_gpu(0, "5,2"), "5");
  EXPECT_EQ(visible_gpu(1, "5, 2"), "2");
  EXPECT_EQ(visible_gpu(1, "GPU-8a1b,MIG-77c0"), "MIG-77c0");
}

}  // namespace
}  // namespace mdnlab

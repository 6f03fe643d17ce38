#include "report/peers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../error_of.h"
#include "../temporary_folder.h"
#include "base/error.h"
#include "base/file.h"

namespace mdnlab {
namespace {

using testing::HasSubstr;

constexpr const char* header =
    "peer,rule,batch,tokens,heads,key_width,value_width,direction,median_ms,source\n";

class Peers : public testing::Test {
 protected:
  const TemporaryFolder folder;
  const std::filesystem::path file = folder / "peers.csv";

  std::vector<Peer> read(const std::string& text) {
    write_file(file, text);
    return read_peers(file);
  }
  std::string mistake(const std::string& text) {
    const Error error = error_of([&] { read(text); });
    EXPECT_EQ(error.code(), Code::usage);
    return error.what();
  }
};

TEST_F(Peers, AreReadInAnyOrderOfColumns) {
  const std::vector<Peer> peers = read(
      "# theirs\r\nsource,median_ms,direction,value_width,key_width,heads,tokens,batch,rule,peer\r\n"
      "\n\"a, \"\"paper\"\"\",1.5,fwd,256,128,6,4096,8,mdn,Them\n");
  ASSERT_EQ(peers.size(), 1u);
  EXPECT_EQ(peers[0].name, "Them");
  EXPECT_EQ(peers[0].source, "a, \"paper\"");
  EXPECT_EQ(peers[0].value_width, 256);
  EXPECT_EQ(peers[0].median_ms, 1.5);
  EXPECT_TRUE(read("").empty());
}

TEST_F(Peers, OfTheProjectAreRead) {
  const auto ours =
      std::filesystem::path(std::getenv("MDNLAB_SOURCE")) / "experiments" / "data" / "peers.csv";
  EXPECT_GT(read_peers(ours).size(), 20u);
}

TEST_F(Peers, SayWhichLineIsWrong) {
  EXPECT_THAT(mistake("peer,rul\n"),
              HasSubstr("peers.csv:1: unknown column; found 'rul'; did you mean 'rule'?"));
  EXPECT_THAT(mistake("peer,rule\n"), HasSubstr("each column of a file of peers stands once"));
  const std::string start = header;
  EXPECT_THAT(mistake(start + "a,mdn,8,4096,6,128,256,fwd,fast,x\n"),
              HasSubstr("peers.csv:2: median_ms; found 'fast'"));
  EXPECT_THAT(mistake(start + "\na,mdn,0,4096,6,128,256,fwd,1,x\n"),
              HasSubstr("peers.csv:3: batch; found '0'"));
  EXPECT_THAT(mistake(start + "a,mdn\n"), HasSubstr("found 2, expected 10"));
  EXPECT_THAT(mistake(start + "\"a,mdn\n"), HasSubstr("a quoted cell has no end"));
  EXPECT_EQ(error_of([&] { read_peers(folder / "none.csv"); }).code(), Code::usage);
}

}  // namespace
}  // namespace mdnlab

// SPDX-License-Identifier: Apache-2.0
// cocoon-image: the part of cocoon that links archive and crypto libraries (design decision 9).
// cocoon replaces itself by it for the commands that need it; the frame is the same.
#include "cli/frame.h"
#include "cli/image_program.h"

int main(int argc, char** argv) {
  return cocoon::cli::run_main(cocoon::cli::image_program(), argc, argv);
}

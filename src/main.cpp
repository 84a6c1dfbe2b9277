// SPDX-License-Identifier: Apache-2.0
// cocoon: the command line that users and the Kubernetes provider call.
#include "cli/commands.h"
#include "cli/frame.h"

int main(int argc, char** argv) {
  return cocoon::cli::run_main(cocoon::cli::cocoon_program(), argc, argv);
}

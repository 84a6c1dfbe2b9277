// SPDX-License-Identifier: Apache-2.0
// The network of a VM (design §6, spec 05 §1, §2): its namespace, its attachments to CNI networks
// or ports of a bridge, its TAPs. Made at create under the VM's reserved row, kept while the VM is
// stopped, rebuilt at start where a reboot took it away, removed with the VM.
#pragma once

#include <string>

#include "engine/create_request.h"
#include "engine/ports.h"
#include "model/vm.h"
#include "network/cni/cache.h"
#include "network/cni/plugin.h"
#include "network/netns.h"
#include "vmm/capabilities.h"
#include "vmm/saved.h"

namespace cocoon::engine {

// The network named "user" is the user-mode stack.
inline constexpr std::string_view kUserNetwork = "user";

// Decides what the request means and puts NICs and ports into the record; MACs and addresses of CNI
// networks are only known after make_network. Looks at the host, changes nothing. kNotFound: no
// such network or bridge; kUnsupported: the backend has no such NICs, or the network cannot publish
// ports; kInvalid.
Result<void> plan_network(Ports& ports, const CreateRequest& request, const vmm::Capabilities& able,
                          model::Vm& vm);

// The same for a VM that goes on from a snapshot: as many NICs of the same devices, with MACs of
// their own, on the snapshot's network unless the request names another. `vm` is the record as it
// was saved but for its ID. kUnsupported also for networks that are other devices to the guest.
// `imported`: what the record says of networks was said elsewhere, maybe by an attacker. A CNI
// network of that name is taken where there is one, as everything in its directory is there for
// guests; a bridge never is: kInvalid.
Result<void> plan_clone_network(Ports& ports, const CreateRequest& request,
                                const vmm::Capabilities& able, bool imported, model::Vm& vm);

// Makes everything that the record's NICs from `first` on need and fills in what the network gave
// them. After an error the caller removes (remove_network or trim_network). With `open` false
// nothing passes until open_network().
Result<void> make_network(Ports& ports, model::Vm& vm, std::size_t first, int lock_fd,
                          bool open = true);

// Lets packets through, or none any more (design §8: the network of a clone stays closed until it
// has its identity). For VMs with TAPs; nothing to do for others.
Result<void> open_network(const model::Vm& vm);
Result<void> close_network(const model::Vm& vm);

// The TAPs that a load alone needs, in the VM's namespace.
Result<void> make_stand_ins(const model::Vm& vm, const std::vector<vmm::StandIn>& stand_ins);
// Removes all that the VM may have; none is fine.
Result<void> remove_stand_ins(const model::Vm& vm);

// For a start: everything is there, or is made again with the same addresses and MACs. kConflict:
// the network gives out other addresses now. True: the record has changed.
Result<bool> restore_network(Ports& ports, model::Vm& vm, int lock_fd);

// Removes all of it; what is not there is fine. Everything is tried; the first failure is returned.
// An attachment whose DEL failed stays recorded, for gc.
Result<void> remove_network(const Ports& ports, const model::Vm& vm);

// For gc: trim_network, and an attachment whose DEL has failed three times is forgotten with a
// warning, as is one whose record makes no sense.
Result<void> give_up_network(const Ports& ports, const model::Vm& vm, std::size_t keep);

// Is this an attachment of the VM that none of its NICs has any more? Its DEL has failed then.
bool is_lost_nic(const model::Vm& vm, const network::cni::Cached& cached);

// Removes what belongs to NICs from `keep` on, in the way of remove_network.
Result<void> trim_network(const Ports& ports, const model::Vm& vm, std::size_t keep);

// How CNI plugins are run for this engine.
network::cni::Host cni_host(const Ports& ports, int lock_fd = -1);
Result<network::Owner> network_owner(const Ports& ports, const std::string& vm_id);

// May a VMM open /dev/net/tun? kUnsupported with the remedy.
Result<void> check_tun_access();

}  // namespace cocoon::engine

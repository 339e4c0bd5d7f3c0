/* SPDX-License-Identifier: BSD-3-Clause */
/* The MPI communicator behind an at_comm, for libraries that want one (parallel HDF5, ScaLAPACK). */
#ifndef AT_COMM_COMM_MPI_H
#define AT_COMM_COMM_MPI_H

#include <mpi.h>

#include "src/comm/comm.h"

MPI_Comm at_comm_raw(const at_comm *c); /* borrowed; what is exchanged on it is not counted */

#endif

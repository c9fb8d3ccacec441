"""Sets the variables of pixel libraries before any command imports one. Import it before everything else."""

from recaster.infra.libraries import prepare_libraries

prepare_libraries()

"""The endpoints of FAL's 3D catalogue, one file for each maker or family: names, types, bounds, prices.

Names and types are those of FAL's own client types and model pages; a comment says where one could not be
read. The catalogue takes its rows from here at each start. Nothing here knows HTTP or makes a file.
"""

from collections.abc import Mapping
from types import MappingProxyType

from fal_emulator.endpoints import backgrounds, hunyuan, meshy, others, rigging, rodin, trellis, tripo
from fal_emulator.endpoints.row import Content, Endpoint, Field, Kind, Output, Role, drawn

ENDPOINTS: Mapping[str, Endpoint] = MappingProxyType(
    {
        row.id: row
        for family in (tripo, trellis, hunyuan, meshy, rodin, rigging, backgrounds, others)
        for row in family.ROWS
    }
)

__all__ = ["ENDPOINTS", "Content", "Endpoint", "Field", "Kind", "Output", "Role", "drawn"]

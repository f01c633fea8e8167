"""The base of all request bodies: an unknown field is an error, never silently dropped."""

from typing import Any

from rest_framework import serializers


class StrictMixin:
    """Refuses unknown fields, so that a client never believes that `role` or `homeRegion` was changed."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            writable = {name for name, field in self.fields.items() if not field.read_only}  # type: ignore[attr-defined]
            unknown = sorted(str(key) for key in set(data) - writable)
            if unknown:
                raise serializers.ValidationError({key: ["This field cannot be set here."] for key in unknown[:20]})
        return super().to_internal_value(data)  # type: ignore[misc]


class Serializer(StrictMixin, serializers.Serializer):
    pass


class ModelSerializer(StrictMixin, serializers.ModelSerializer):
    def update(self, instance: Any, validated_data: dict[str, Any]) -> Any:
        """Writes what was sent and nothing else: what others changed in the meantime must stand."""
        for field, value in validated_data.items():
            setattr(instance, field, value)
        instance.save(update_fields=[*validated_data, "updated_at"])
        return instance


class LineField(serializers.CharField):
    """A text of one line: line breaks and runs of white space become one space."""

    def to_internal_value(self, data: Any) -> str:
        return " ".join(super().to_internal_value(data).split())


class OptionalURLField(serializers.URLField):
    """An address to show, null where the column is empty."""

    def __init__(self, **options: Any):
        super().__init__(read_only=True, allow_null=True, **options)

    def to_representation(self, value: str) -> str | None:  # type: ignore[override]
        return value or None


class UploadFormSerializer(Serializer):
    """Post `fields`, then the file as `file`, to `url` as multipart/form-data."""

    url = serializers.URLField()
    fields = serializers.DictField(child=serializers.CharField())  # type: ignore[assignment]
    max_bytes = serializers.IntegerField()
    expires_at = serializers.DateTimeField()


class UploadedSerializer(Serializer):
    size_bytes = serializers.IntegerField()

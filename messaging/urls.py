from django.urls import path

from messaging import attachment_views, views

ONE = "conversations/<uuid:conversation_id>"

urlpatterns = [
    path("conversations", views.ConversationList.as_view()),
    path(ONE, views.ConversationView.as_view()),
    path(f"{ONE}/messages", views.MessageList.as_view()),
    path(f"{ONE}/messages/<int:number>/report", views.ReportView.as_view()),
    path(f"{ONE}/attachments", attachment_views.AttachmentList.as_view()),
    path(f"{ONE}/attachments/<uuid:attachment_id>", attachment_views.AttachmentView.as_view()),
    path(f"{ONE}/attachments/<uuid:attachment_id>/complete", attachment_views.CompleteView.as_view()),
    path("uploads/attachments/<uuid:upload_id>", attachment_views.AttachmentUploadView.as_view()),
    path("attachments/<str:token>", attachment_views.FileView.as_view()),
    path(f"{ONE}/read", views.ReadView.as_view()),
    path(f"{ONE}/archive", views.ArchiveView.as_view()),
    path(f"{ONE}/block", views.BlockView.as_view()),
]
